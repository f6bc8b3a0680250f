// SPDX-License-Identifier: MIT OR Apache-2.0
// See wire.h. Only for machines with the low byte first; messages of others are nonsense here.
#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// --- bytes

static void put(struct buffer *buffer, const void *bytes, size_t length)
{
	if (length > ROOM - buffer->length)
		abort();
	memcpy(buffer->bytes + buffer->length, bytes, length);
	buffer->length += length;
}

static void pad(struct buffer *buffer, size_t to)
{
	while (buffer->length % to)
		put(buffer, "", 1);
}

static void put_number(struct buffer *buffer, uint64_t number, size_t size)
{
	pad(buffer, size);
	put(buffer, &number, size);
}

static void put_text(struct buffer *buffer, const char *text, size_t size)
{
	put_number(buffer, strlen(text), size);
	put(buffer, text, strlen(text) + 1);
}

// --- signatures

// 0 for what is no type.
static size_t size_of(char type)
{
	switch (type) {
	case 'y': case 'g': case 'v': return 1;
	case 'n': case 'q': return 2;
	case 'b': case 'i': case 'u': case 's': case 'o': case 'a': case 'h': return 4;
	case 'x': case 't': case 'd': case '(': case '{': return 8;
	}
	return 0;
}

// Behind the first whole type.
static const char *behind(const char *type)
{
	if (*type == 'a')
		return behind(type + 1);
	if (*type == '(' || *type == '{') {
		type++;
		while (*type && *type != ')' && *type != '}')
			type = behind(type);
	}
	return *type ? type + 1 : type;
}

// --- values from words

static char *word(char ***words)
{
	char *next = **words;

	if (next)
		++*words;
	return next && !strcmp(next, "''") ? "" : next;
}

// One value. Lists have their length in front; `ay` is a text, `h` a file that is opened, `v` has its
// signature in front.
static bool put_value(struct buffer *body, const char *type, char ***words)
{
	char *text;
	double real;

	switch (*type) {
	case '(': case '{':
		pad(body, 8);
		for (type++; *type && *type != ')' && *type != '}'; type = behind(type))
			if (!put_value(body, type, words))
				return false;
		return true;
	case 'a': {
		if (type[1] == 'y') {
			if (!(text = word(words)))
				return false;
			put_number(body, strlen(text) + 1, 4);
			put(body, text, strlen(text) + 1);
			return true;
		}
		if (!(text = word(words)) || !size_of(type[1]))
			return false;
		put_number(body, 0, 4);
		size_t length = body->length - 4;
		pad(body, size_of(type[1]));
		size_t start = body->length;
		for (long n = atol(text); n > 0; n--)
			if (!put_value(body, type + 1, words))
				return false;
		uint32_t filled = body->length - start;
		memcpy(body->bytes + length, &filled, 4);
		return true;
	}
	}
	if (!(text = word(words)))
		return false;
	switch (*type) {
	case 's': case 'o':
		put_text(body, text, 4);
		return true;
	case 'g':
		put_text(body, text, 1);
		return true;
	case 'v':
		put_text(body, text, 1);
		return put_value(body, text, words);
	case 'd':
		real = atof(text);
		pad(body, 8);
		put(body, &real, 8);
		return true;
	case 'h':
		if (body->described == DESCRIPTORS || (body->descriptors[body->described] = open(text, O_PATH | O_CLOEXEC)) < 0)
			return false;
		put_number(body, body->described++, 4);
		return true;
	}
	if (size_of(*type))
		put_number(body, strtoull(text, NULL, 0), size_of(*type));
	return size_of(*type) != 0;
}

bool wire_values(struct buffer *body, const char *signature, char ***words)
{
	for (; *signature; signature = behind(signature))
		if (!put_value(body, signature, words))
			return false;
	return true;
}

// --- values to text

struct reader {
	const unsigned char *bytes;
	size_t at, length;
	bool wrong;
};

static void align(struct reader *reader, size_t to)
{
	reader->at += (to - reader->at % to) % to;
	if (reader->at > reader->length) {
		reader->at = reader->length;
		reader->wrong = true;
	}
}

static uint64_t get_number(struct reader *reader, size_t size)
{
	uint64_t number = 0;

	align(reader, size);
	if (reader->wrong || size > reader->length - reader->at) {
		reader->wrong = true;
		return 0;
	}
	memcpy(&number, reader->bytes + reader->at, size);
	reader->at += size;
	return number;
}

// A text of the given size of length; the empty one where there is none.
static const char *get_text(struct reader *reader, size_t size)
{
	uint64_t length = get_number(reader, size);
	const char *text = (const char *)reader->bytes + reader->at;

	if (reader->wrong || length >= reader->length - reader->at || memchr(text, 0, length + 1) != text + length) {
		reader->wrong = true;
		return "";
	}
	reader->at += length + 1;
	return text;
}

static void show_text(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f || *text == '\\')
			fprintf(out, "\\x%02x", (unsigned char)*text);
		else
			fputc(*text, out);
	fputc('\'', out);
}

static void show_value(FILE *out, const char *type, struct reader *reader)
{
	double real;
	uint64_t bits;

	switch (*type) {
	case 's': case 'o':
		show_text(out, get_text(reader, 4));
		return;
	case 'g':
		show_text(out, get_text(reader, 1));
		return;
	case 'v': {
		const char *inner = get_text(reader, 1);
		if (size_of(*inner))
			show_value(out, inner, reader);
		else
			reader->wrong = true;
		return;
	}
	case 'b':
		fputs(get_number(reader, 4) ? "true" : "false", out);
		return;
	case 'd':
		bits = get_number(reader, 8);
		memcpy(&real, &bits, 8);
		fprintf(out, "%g", real);
		return;
	case 'i':
		fprintf(out, "%d", (int)get_number(reader, 4));
		return;
	case '(': case '{':
		fputc(*type, out);
		align(reader, 8);
		for (const char *field = type + 1; !reader->wrong && *field && *field != ')' && *field != '}'; field = behind(field)) {
			if (field != type + 1)
				fputs(*type == '{' ? ": " : ", ", out);
			show_value(out, field, reader);
		}
		fputc(*type == '(' ? ')' : '}', out);
		return;
	case 'a': {
		size_t length = get_number(reader, 4), size = size_of(type[1]);
		if (!size || reader->wrong) {
			reader->wrong = true;
			return;
		}
		align(reader, size);
		if (reader->wrong || length > reader->length - reader->at) {
			reader->wrong = true;
			return;
		}
		size_t end = reader->at + length;
		if (type[1] == 'y') {
			// Bytes are a path, mostly.
			char *text = strndup((const char *)reader->bytes + reader->at, length);
			if (!text)
				abort();
			show_text(out, text);
			free(text);
			reader->at = end;
			return;
		}
		fputc('[', out);
		for (bool first = true; !reader->wrong && reader->at < end; first = false) {
			if (!first)
				fputs(", ", out);
			show_value(out, type + 1, reader);
		}
		fputc(']', out);
		return;
	}
	}
	if (size_of(*type))
		fprintf(out, "%llu", (unsigned long long)get_number(reader, size_of(*type)));
	else
		reader->wrong = true;
}

void wire_show(FILE *out, const struct message *message)
{
	struct reader reader = { message->body.bytes, 0, message->body.length, false };

	fputc('(', out);
	for (const char *type = message->signature; *type && !reader.wrong; type = behind(type)) {
		if (type != message->signature)
			fputs(", ", out);
		show_value(out, type, &reader);
	}
	fputs(reader.wrong ? " nonsense)" : ")", out);
}

// --- messages

void wire_call(struct message *call, const char *destination, const char *path, const char *interface,
	const char *member)
{
	memset(call, 0, offsetof(struct message, body));
	call->body.length = call->body.described = 0;
	call->kind = CALL;
	snprintf(call->destination, sizeof call->destination, "%s", destination);
	snprintf(call->path, sizeof call->path, "%s", path);
	snprintf(call->interface, sizeof call->interface, "%s", interface);
	snprintf(call->member, sizeof call->member, "%s", member);
}

static void put_field(struct buffer *out, unsigned char code, const char *type, const char *text)
{
	if (!*text)
		return;
	pad(out, 8);
	put(out, &code, 1);
	put_text(out, type, 1);
	put_text(out, text, *type == 'g' ? 1 : 4);
}

static void put_field_number(struct buffer *out, unsigned char code, uint32_t number)
{
	if (!number)
		return;
	pad(out, 8);
	put(out, &code, 1);
	put_text(out, "u", 1);
	put_number(out, number, 4);
}

void wire_message(struct buffer *out, struct message *message, uint32_t serial)
{
	unsigned char head[4] = { 'l', message->kind, 0, 1 };

	out->length = 0;
	message->serial = serial;
	put(out, head, 4);
	put_number(out, message->body.length, 4);
	put_number(out, serial, 4);
	put_number(out, 0, 4);
	put_field(out, 1, "o", message->path);
	put_field(out, 2, "s", message->interface);
	put_field(out, 3, "s", message->member);
	put_field(out, 4, "s", message->error);
	put_field_number(out, 5, message->answered);
	put_field(out, 6, "s", message->destination);
	put_field(out, 8, "g", message->signature);
	put_field_number(out, 9, message->body.described);
	uint32_t fields = out->length - 16;
	memcpy(out->bytes + 12, &fields, 4);
	pad(out, 8);
	put(out, message->body.bytes, message->body.length);
}

int wire_take(struct buffer *in, struct message *message)
{
	uint32_t lengths[3];
	size_t start, whole;

	if (in->length < 16)
		return 0;
	memcpy(lengths, in->bytes + 4, 8);
	memcpy(lengths + 2, in->bytes + 12, 4);
	if (*in->bytes != 'l' || lengths[0] > ROOM / 2 || lengths[2] > ROOM / 2)
		return -1;
	start = (16 + lengths[2] + 7) / 8 * 8;
	whole = start + lengths[0];
	if (whole > ROOM)
		return -1;
	if (in->length < whole)
		return 0;
	memset(message, 0, offsetof(struct message, body));
	message->kind = in->bytes[1];
	message->serial = lengths[1];
	struct reader reader = { in->bytes, 16, 16 + lengths[2], false };
	while (reader.at < reader.length && !reader.wrong) {
		align(&reader, 8);
		unsigned char code = get_number(&reader, 1);
		const char *type = get_text(&reader, 1);
		char *places[] = {
			NULL, message->path, message->interface, message->member, message->error, NULL, message->destination,
			message->sender, message->signature,
		};
		if (*type == 'u') {
			uint32_t number = get_number(&reader, 4);
			if (code == 5)
				message->answered = number;
			continue;
		}
		const char *text = get_text(&reader, *type == 'g' ? 1 : 4);
		if (code < sizeof places / sizeof *places && places[code])
			snprintf(places[code], sizeof message->path, "%s", text);
	}
	message->body.length = lengths[0];
	memcpy(message->body.bytes, in->bytes + start, lengths[0]);
	memmove(in->bytes, in->bytes + whole, in->length - whole);
	in->length -= whole;
	return reader.wrong ? -1 : 1;
}

// --- connections

int wire_connect(const char *address)
{
	char copy[4096], *one, *rest = copy;

	snprintf(copy, sizeof copy, "%s", address);
	while ((one = strsep(&rest, ";"))) {
		struct sockaddr_un name = { .sun_family = AF_UNIX };
		char *path = strstr(one, "unix:path="), *abstract = strstr(one, "unix:abstract=");
		one = path ? path + 10 : abstract ? abstract + 14 : "";
		one[strcspn(one, ",")] = 0;
		size_t length = strlen(one);
		if (!length || length + 1 >= sizeof name.sun_path)
			continue;
		memcpy(name.sun_path + !path, one, length);
		int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (made >= 0 && !connect(made, (struct sockaddr *)&name, offsetof(struct sockaddr_un, sun_path) + !path + length))
			return made;
		if (made >= 0) {
			int error = errno;
			close(made);
			errno = error;
		}
	}
	return -1;
}

size_t wire_authentication(char *text, size_t room)
{
	size_t length = 1;

	*text = 0;
	length += snprintf(text + 1, room - 1, "AUTH EXTERNAL ");
	char id[16];
	snprintf(id, sizeof id, "%u", getuid());
	for (const char *digit = id; *digit; digit++)
		length += snprintf(text + length, room - length, "%02x", *digit);
	length += snprintf(text + length, room - length, "\r\n");
	return length;
}

bool wire_send(struct connection *connection, struct message *message)
{
	static struct buffer out;
	char room[CMSG_SPACE(sizeof message->body.descriptors)] = { 0 };
	struct iovec bytes = { out.bytes, 0 };
	struct msghdr head = { .msg_iov = &bytes, .msg_iovlen = 1 };

	wire_message(&out, message, ++connection->serial);
	bytes.iov_len = out.length;
	if (message->body.described) {
		size_t length = message->body.described * sizeof(int);
		head.msg_control = room;
		head.msg_controllen = CMSG_SPACE(length);
		struct cmsghdr *passed = CMSG_FIRSTHDR(&head);
		*passed = (struct cmsghdr){ CMSG_LEN(length), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(passed), message->body.descriptors, length);
	}
	while (bytes.iov_len > 0) {
		ssize_t sent = sendmsg(connection->socket, &head, MSG_NOSIGNAL);
		if (sent < 0)
			return false;
		bytes.iov_base = (char *)bytes.iov_base + sent;
		bytes.iov_len -= sent;
		head.msg_control = NULL;
		head.msg_controllen = 0;
	}
	for (size_t i = 0; i < message->body.described; i++)
		close(message->body.descriptors[i]);
	return true;
}

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

int wire_receive(struct connection *connection, struct message *message, int milliseconds)
{
	long long end = now() + milliseconds;
	int taken;

	while (!(taken = wire_take(&connection->in, message))) {
		struct pollfd ready = { connection->socket, POLLIN, 0 };
		long long left = end - now();
		if (poll(&ready, 1, milliseconds < 0 ? -1 : left > 0 ? left : 0) <= 0)
			return 0;
		// Descriptors that come along are not asked for: the kernel drops them.
		ssize_t got = read(connection->socket, connection->in.bytes + connection->in.length, ROOM - connection->in.length);
		if (got <= 0)
			return -1;
		connection->in.length += got;
	}
	return taken;
}

bool wire_open(struct connection *connection, const char **why)
{
	static struct message message;
	const char *address = getenv("DBUS_SESSION_BUS_ADDRESS");
	char text[512];
	size_t length = wire_authentication(text, sizeof text);

	*why = "no address";
	if (!address)
		return false;
	connection->socket = wire_connect(address);
	*why = strerrorname_np(errno);
	if (connection->socket < 0)
		return false;
	*why = "not let in";
	if (write(connection->socket, text, length) < 0)
		return false;
	// The answers are lines; nothing else comes before BEGIN.
	for (const char *next = "NEGOTIATE_UNIX_FD\r\n"; next; next = *next == 'N' ? "BEGIN\r\n" : NULL) {
		ssize_t got = read(connection->socket, text, sizeof text - 1);
		if (got <= 0 || (strncmp(text, "OK ", 3) && strncmp(text, "AGREE", 5)))
			return false;
		if (write(connection->socket, next, strlen(next)) < 0)
			return false;
	}
	wire_call(&message, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello");
	if (!wire_send(connection, &message) || wire_receive(connection, &message, 25000) != 1 || message.kind != ANSWER)
		return false;
	// Its one value: a text behind its length.
	snprintf(connection->name, sizeof connection->name, "%.200s", (const char *)message.body.bytes + 4);
	return true;
}
