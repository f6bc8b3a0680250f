// SPDX-License-Identifier: MIT OR Apache-2.0
// What an application can do on its message buses, as inspect prints it: which names are there, which it may
// have, whom it may call, and whether anything that it says while it logs in leads past a filter (T74).
//
// Included by inspect.c. D-Bus as it goes over the wire, little-endian:
// https://dbus.freedesktop.org/doc/dbus-specification.html
#include <stdarg.h>
#include <sys/time.h>
#include <sys/un.h>

#define BUS "org.freedesktop.DBus"
#define ROOM (1 << 20)

static unsigned char sent[4096], received[ROOM];
static size_t sent_length;

static void pad(size_t to)
{
	while (sent_length % to)
		sent[sent_length++] = 0;
}

static void number(uint32_t value)
{
	pad(4);
	memcpy(sent + sent_length, &value, 4);
	sent_length += 4;
}

static void string(const char *value)
{
	number(strlen(value));
	memcpy(sent + sent_length, value, strlen(value) + 1);
	sent_length += strlen(value) + 1;
}

static void field(unsigned char code, char type, const char *value)
{
	pad(8);
	unsigned char head[] = { code, 1, type, 0 };
	memcpy(sent + sent_length, head, sizeof head);
	sent_length += sizeof head;
	if (type == 'g') {
		sent[sent_length++] = strlen(value);
		memcpy(sent + sent_length, value, strlen(value) + 1);
		sent_length += strlen(value) + 1;
	} else {
		string(value);
	}
}

// A call of a method with arguments of a signature made of `s` and `u`.
static void method(uint32_t serial, const char *destination, const char *path, const char *interface,
	const char *member, const char *signature, va_list arguments)
{
	unsigned char body[2048];
	size_t length, header;
	uint32_t size;

	sent_length = 0;
	for (const char *type = signature; *type; type++) {
		if (*type == 's')
			string(va_arg(arguments, const char *));
		else
			number(va_arg(arguments, uint32_t));
	}
	length = sent_length;
	memcpy(body, sent, length);

	memcpy(sent, (unsigned char[]){ 'l', 1, 0, 1 }, 4);
	sent_length = 4;
	number(length);
	number(serial);
	number(0);
	field(1, 'o', path);
	field(2, 's', interface);
	field(3, 's', member);
	field(6, 's', destination);
	if (*signature)
		field(8, 'g', signature);
	header = sent_length - 16;
	size = header;
	memcpy(sent + 12, &size, 4);
	pad(8);
	memcpy(sent + sent_length, body, length);
	sent_length += length;
}

static bool whole_read(int bus, void *buffer, size_t length)
{
	for (size_t filled = 0; filled < length;) {
		ssize_t got = read(bus, (char *)buffer + filled, length - filled);
		if (got <= 0)
			return false;
		filled += got;
	}
	return true;
}

static uint32_t at(size_t place)
{
	uint32_t value;
	memcpy(&value, received + place, 4);
	return value;
}

static size_t up(size_t place, size_t to)
{
	return (place + to - 1) / to * to;
}

// The answer to a call: where its body begins in `received`, 0 if it is an error, whose name goes to `error`, or if
// the connection is closed or silent.
static size_t answer_to(int bus, uint32_t serial, const char **error)
{
	for (;;) {
		*error = "closed";
		if (!whole_read(bus, received, 1))
			return 0;
		// What is still said about the login.
		if (strchr("ADEOR", received[0])) {
			while (received[0] != '\n')
				if (!whole_read(bus, received, 1))
					return 0;
			continue;
		}
		if (!whole_read(bus, received + 1, 15))
			return 0;
		size_t fields = at(12), body = up(16 + fields, 8), length = body + at(4);
		if (received[0] != 'l' || length >= ROOM || !whole_read(bus, received + 16, length - 16))
			return 0;
		uint32_t reply = 0;
		for (size_t place = 16; place < 16 + fields;) {
			place = up(place, 8);
			unsigned char code = received[place], type = received[place + 2];
			place = type == 'g' ? place + 4 : up(place + 4, 4);
			if (code == 5)
				reply = at(place);
			if (code == 4)
				*error = (const char *)received + place + 4;
			place += type == 'g' ? received[place] + 2u : type == 'u' ? 4u : at(place) + 5u;
		}
		if (reply == serial)
			return received[1] == 2 ? body : 0;
	}
}

static uint32_t serial = 1;

static size_t ask(int bus, const char **error, const char *destination, const char *path, const char *interface,
	const char *member, const char *signature, ...)
{
	va_list arguments;
	va_start(arguments, signature);
	method(++serial, destination, path, interface, member, signature, arguments);
	va_end(arguments);
	*error = "closed";
	if (send(bus, sent, sent_length, MSG_NOSIGNAL) != (ssize_t)sent_length)
		return 0;
	return answer_to(bus, serial, error);
}

static size_t ask_bus(int bus, const char **error, const char *member)
{
	return ask(bus, error, BUS, "/org/freedesktop/DBus", BUS, member, "");
}

// Connects to a socket, -1 if nobody listens.
static int knock(const char *address)
{
	struct sockaddr_un place = { .sun_family = AF_UNIX };
	struct timeval patience = { 4, 0 };
	int bus;

	if (strncmp(address, "unix:path=", 10))
		return -1;
	strncat(place.sun_path, address + 10, strcspn(address + 10, ",;"));
	bus = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bus < 0)
		return -1;
	setsockopt(bus, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(bus, (struct sockaddr *)&place, sizeof place)) {
		close(bus);
		return -1;
	}
	return bus;
}

// Logs in, with this in the place of the last line. The words are sent one after the other if `apart`, in one piece
// otherwise.
static int enter(const char *address, const char *begin, bool apart)
{
	char login[256], id[16], *end = login;
	int bus = knock(address);

	if (bus < 0)
		return bus;
	snprintf(id, sizeof id, "%u", getuid());
	end += sprintf(end, "%cAUTH EXTERNAL ", 0);
	for (const char *digit = id; *digit; digit++)
		end += sprintf(end, "%02x", *digit);
	end += sprintf(end, "\r\n");
	if (apart) {
		char line[256];
		ssize_t got;
		if (send(bus, login, end - login, MSG_NOSIGNAL) < 0 || (got = read(bus, line, sizeof line)) <= 0) {
			close(bus);
			return -1;
		}
		end = login;
	}
	end += sprintf(end, "%s", begin);
	if (send(bus, login, end - login, MSG_NOSIGNAL) < 0) {
		close(bus);
		return -1;
	}
	if (!apart) {
		// The answer to the first line, before anything else can come.
		char byte = 0;
		while (read(bus, &byte, 1) == 1 && byte != '\n')
			;
	}
	return bus;
}

enum { REFUSED, OUTSIDE, FILTERED, THROUGH };
static const char *const outcomes[] = { "refused", "not let in", "filtered", "let through" };

// What somebody finds who logs in so.
static int past(const char *address, const char *begin, bool apart)
{
	const char *error;
	struct timeval patience = { 2, 0 };
	int bus = enter(address, begin, apart);
	size_t body;

	if (bus < 0)
		return REFUSED;
	// Who is not let in need not be told so.
	setsockopt(bus, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	int found = OUTSIDE;
	if (ask_bus(bus, &error, "Hello") && (body = ask_bus(bus, &error, "ListNames"))) {
		found = FILTERED;
		size_t place = up(body + 4, 4), last = place + at(body);
		for (; place < last; place = up(place + at(place) + 5, 4)) {
			const char *name = (const char *)received + place + 4;
			// The accessibility bus has been asked for.
			if (!strcmp(name, "org.a11y.Bus"))
				found = THROUGH;
		}
	}
	close(bus);
	return found;
}

static void listed(int bus, const char *section, const char *member, const char *word)
{
	const char *error;
	char object[512];
	size_t body = ask_bus(bus, &error, member);

	if (!body) {
		fact(section, member, error);
		return;
	}
	size_t place = up(body + 4, 4), last = place + at(body);
	for (; place < last; place = up(place + at(place) + 5, 4)) {
		const char *name = (const char *)received + place + 4;
		if (*name == ':')
			continue;
		snprintf(object, sizeof object, "%s %s", word, name);
		fact(section, object, "there");
	}
}

static void one_bus(const char *section, const char *variable, const char *id)
{
	static const char *const begins[] = {
		"BEGIN\r\n", "BEGIN \r\n", "BEGIN\t\r\n", "BEGIN  x\r\n", " BEGIN\r\n", "begin\r\n", "BEGIN\n", "BEGIN\r\r\n",
		"BEGIN\r", "BEGIN\v\r\n", "NEGOTIATE_UNIX_FD\r\nBEGIN\r\n", "NEGOTIATE_UNIX_FD\r\nBEGIN \r\n",
		"CANCEL\r\nBEGIN\r\n", "DATA\r\nBEGIN\r\n", "BEGIN\r\nBEGIN\r\n", "ERROR \"\r\nBEGIN\r\n", "X\r\nBEGIN\t\r\n",
	};
	static const char *const owned[] = {
		"%s", "%s.x", "%sx", "%s.Sandboxed.x", "org.mpris.MediaPlayer2.%s", "org.mpris.MediaPlayer2.%s.x",
		"org.mpris.MediaPlayer2.other", "org.example.Own", "org.example.Own.x", "org.example.Talk", "org.example.Other",
		"org.freedesktop.portal.x", "org.freedesktop.Flatpak",
	};
	static const char *const started[] = {
		"org.freedesktop.Flatpak", "org.freedesktop.portal.Flatpak", "org.freedesktop.systemd1", "org.a11y.Bus",
		"org.freedesktop.impl.portal.PermissionStore", "org.example.Talk",
	};
	static const char *const properties[] = {
		"org.freedesktop.Flatpak", "org.freedesktop.portal.Flatpak", "org.example.Talk", "org.a11y.Bus",
		"org.a11y.atspi.Registry", "org.freedesktop.impl.portal.PermissionStore",
	};
	const char *address = getenv(variable), *error;
	char object[512], name[256], value[32];

	if (!address) {
		fact(section, "address", "none");
		return;
	}
	int bus = enter(address, "BEGIN\r\n", true);
	if (bus < 0 || !ask_bus(bus, &error, "Hello")) {
		fact(section, "address", bus < 0 ? "nobody there" : error);
		return;
	}
	listed(bus, section, "ListNames", "name");
	listed(bus, section, "ListActivatableNames", "activatable");
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
		snprintf(name, sizeof name, owned[i], id);
		snprintf(object, sizeof object, "own %s", name);
		size_t body = ask(bus, &error, BUS, "/org/freedesktop/DBus", BUS, "RequestName", "su", name, 4);
		snprintf(value, sizeof value, "%u", body ? at(body) : 0);
		fact(section, object, body ? value : error);
	}
	for (size_t i = 0; i < sizeof started / sizeof *started; i++) {
		snprintf(object, sizeof object, "owner %s", started[i]);
		size_t body = ask(bus, &error, BUS, "/org/freedesktop/DBus", BUS, "GetNameOwner", "s", started[i]);
		fact(section, object, body ? "known" : error);
		snprintf(object, sizeof object, "start %s", started[i]);
		body = ask(bus, &error, BUS, "/org/freedesktop/DBus", BUS, "StartServiceByName", "su", started[i], 0);
		snprintf(value, sizeof value, "%u", body ? at(body) : 0);
		fact(section, object, body ? value : error);
	}
	for (size_t i = 0; i < sizeof properties / sizeof *properties; i++) {
		snprintf(object, sizeof object, "call %s", properties[i]);
		size_t body = ask(bus, &error, properties[i], "/", "org.freedesktop.DBus.Peer", "Ping", "");
		fact(section, object, body ? "answered" : error);
	}
	// What is the bus's own to give (R214).
	static const char *const matches[] = {
		"type='signal'", "eavesdrop='true'", "eavesdrop=true", "type='method_call',eavesdrop='true'", " eavesdrop = 'true'",
	};
	for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
		snprintf(object, sizeof object, "match %s", matches[i]);
		size_t body = ask(bus, &error, BUS, "/org/freedesktop/DBus", BUS, "AddMatch", "s", matches[i]);
		fact(section, object, body ? "taken" : error);
	}
	size_t body = ask(bus, &error, BUS, "/org/freedesktop/DBus", "org.freedesktop.DBus.Monitoring", "BecomeMonitor", "");
	fact(section, "monitor", body ? "allowed" : error);
	close(bus);
	// All buses have one proxy, and whoever is not let in is often just kept waiting, here each in a process: not
	// wherever somebody looks around.
	if (strcmp(variable, "DBUS_SESSION_BUS_ADDRESS") || !getenv("LOGINS"))
		return;
	const size_t count = sizeof begins / sizeof *begins;
	pid_t tries[2 * sizeof begins / sizeof *begins];
	fflush(stdout);
	for (size_t i = 0; i < 2 * count; i++)
		if ((tries[i] = fork()) == 0)
			_exit(past(address, begins[i % count], i >= count));
	for (size_t i = 0; i < 2 * count; i++) {
		int how;
		if (tries[i] < 0 || waitpid(tries[i], &how, 0) != tries[i])
			abort();
		snprintf(object, sizeof object, "login %s%s", i < count ? "at once " : "", begins[i % count]);
		fact(section, object, WIFEXITED(how) && WEXITSTATUS(how) <= THROUGH ? outcomes[WEXITSTATUS(how)] : "killed");
	}
}

// `id` is the name of the application.
static void buses(const char *id)
{
	one_bus("bus-session", "DBUS_SESSION_BUS_ADDRESS", id);
	one_bus("bus-system", "DBUS_SYSTEM_BUS_ADDRESS", id);
	one_bus("bus-a11y", "AT_SPI_BUS_ADDRESS", id);
}
