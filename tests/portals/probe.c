// SPDX-License-Identifier: MIT OR Apache-2.0
// Tries things on the session bus and says what came of them, one fact a line: "SECTION OBJECT: VALUE". In an
// application it is what may be hostile; on the host it is whom others talk to.
//
// probe try COMMANDS: a line for each command; its words are separated by spaces, %20 is one, '' is nothing.
//   open                                   connects again
//   names | activatable                    what the bus lists
//   own NAME | release NAME
//   call NAME PATH INTERFACE MEMBER [SIGNATURE WORD...]
//   request ...                            the same, and waits for the answer that a portal gives later (R351)
//   listen                                 from here on everything that comes is shown
//   expect INTERFACE.MEMBER | await         what is to come, and waiting for it
//   authenticate NAME                      says what no client says before it is let in, then calls NAME
//   connect ADDRESS | file PATH | entries PATH | write PATH
//   wait LABEL                             says so and waits for a line
// probe serve LOG ANSWERS NAME...: has these names and writes down every call. ANSWERS has lines "INTERFACE.MEMBER
//   [SIGNATURE WORD...]"; those that begin with "emits PATH" are the broadcasts that `Emit` asks for.
//
// Build: cc -static probe.c wire.c
#define _GNU_SOURCE
#include "wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORDS 256
#define PATIENCE 25000
#define BUS "org.freedesktop.DBus"
#define BUS_PATH "/org/freedesktop/DBus"
#define FIXTURE "org.example.Fixture"

static struct connection bus = { .socket = -1 };
static struct message message;
static bool listening, expected_came;
static char expected[256];

// --- words

// The words of a line, with a NULL behind them.
static void split(char *line, char **words)
{
	char *word, *space;
	size_t count = 0;

	while (count < WORDS - 1 && (word = strsep(&line, " "))) {
		if (!*word)
			continue;
		while ((space = strstr(word, "%20"))) {
			*space = ' ';
			memmove(space + 1, space + 3, strlen(space + 3) + 1);
		}
		words[count++] = word;
	}
	words[count] = NULL;
}

static char *at(char **words, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (!words[i])
			return "";
	return words[index] ? words[index] : "";
}

// The front of a fact about a command: what it was.
static void said(char **words)
{
	fputs(words[0], stdout);
	for (size_t i = 1; words[i]; i++)
		printf(" %s", words[i]);
	fputs(": ", stdout);
}

// --- messages

static const char *who(const char *name)
{
	return !strcmp(name, BUS) ? "bus" : !strcmp(name, bus.name) ? "itself" : "another";
}

// What comes without having been asked for. Whoever calls is answered.
static void unasked(const struct message *came)
{
	static struct message answer;

	const char *id = getenv("FLATPAK_ID");
	if (came->kind == CALL && (!strcmp(came->destination, bus.name) || (id && !strcmp(came->destination, id)))) {
		wire_call(&answer, came->sender, "", "", "");
		answer.kind = ANSWER;
		answer.answered = came->serial;
		wire_send(&bus, &answer);
	}
	size_t length = strlen(came->interface);
	if (came->kind == SIGNAL && !strncmp(expected, came->interface, length) && expected[length] == '.' &&
		!strcmp(expected + length + 1, came->member))
		expected_came = true;
	// Where names of its own go is said by the answers.
	if (!listening || !strcmp(came->member, "NameAcquired") || !strcmp(came->member, "NameLost"))
		return;
	printf("came %s from %s: %s.%s", came->kind == SIGNAL ? "signal" : came->kind == CALL ? "call" : "answer",
		who(came->sender), came->interface, came->member);
	wire_show(stdout, came);
	putchar('\n');
}

// Sends what is in `message` and puts the answer there: false when there is none, with a word in `why`.
static bool answered(const char **why)
{
	*why = "no bus";
	if (bus.socket < 0)
		return false;
	*why = "gone";
	if (!wire_send(&bus, &message))
		return false;
	uint32_t serial = bus.serial;
	for (;;) {
		int came = wire_receive(&bus, &message, PATIENCE);
		*why = came == 0 ? "no answer" : "gone";
		if (came != 1)
			return false;
		if ((message.kind == ANSWER || message.kind == ERROR) && message.answered == serial)
			return true;
		unasked(&message);
	}
}

static void show_answer(void)
{
	if (message.kind == ERROR)
		printf("%s ", message.error);
	wire_show(stdout, &message);
	putchar('\n');
}

static bool ask_bus(const char *member, const char *signature, char **words, const char **why)
{
	wire_call(&message, BUS, BUS_PATH, BUS, member);
	snprintf(message.signature, sizeof message.signature, "%s", signature);
	*why = "wrong words";
	return wire_values(&message.body, signature, &words) && answered(why);
}

// --- commands

static void open_bus(char **words)
{
	const char *why;

	if (bus.socket >= 0)
		close(bus.socket);
	bus.in.length = bus.serial = 0;
	bool opened = wire_open(&bus, &why);
	if (!opened && bus.socket >= 0) {
		close(bus.socket);
		bus.socket = -1;
	}
	said(words);
	puts(opened ? "connected" : why);
}

// A fact for each name; those without words are counted, for they are numbers.
static void names(char **words, const char *member)
{
	const char *why;
	size_t others = 0;

	if (!ask_bus(member, "", words, &why) || message.kind != ANSWER) {
		said(words);
		puts(message.kind == ERROR ? message.error : why);
		return;
	}
	// An array of texts, each with its length in front and a 0 behind it.
	for (size_t i = 4; i + 4 < message.body.length;) {
		uint32_t length;
		memcpy(&length, message.body.bytes + i, 4);
		const char *name = (const char *)message.body.bytes + i + 4;
		if (*name != ':')
			printf("%s %s: there\n", words[0], name);
		else
			others += strcmp(name, bus.name) != 0;
		i += 4 + length + 1;
		i += (4 - i % 4) % 4;
	}
	if (!strcmp(member, "ListNames"))
		printf("%s without words: %zu others\n", words[0], others);
}

static void own(char **words, const char *member, const char *signature)
{
	const char *why;
	char *values[] = { at(words, 1), "0", NULL };

	bool came = ask_bus(member, signature, values, &why);
	said(words);
	if (!came)
		puts(why);
	else
		show_answer();
}

static void call(char **words, bool later)
{
	const char *why = "wrong words";
	char **values = words[1] && words[2] && words[3] && words[4] && words[5] ? words + 6 : words;
	char path[256];

	wire_call(&message, at(words, 1), at(words, 2), at(words, 3), at(words, 4));
	snprintf(message.signature, sizeof message.signature, "%s", at(words, 5));
	bool came = wire_values(&message.body, message.signature, &values) && answered(&why);
	said(words);
	if (!came) {
		puts(why);
		return;
	}
	if (!later || message.kind == ERROR) {
		show_answer();
		return;
	}
	snprintf(path, sizeof path, "%.200s", (const char *)message.body.bytes + 4);
	for (int got; (got = wire_receive(&bus, &message, PATIENCE)) == 1; unasked(&message))
		if (message.kind == SIGNAL && !strcmp(message.path, path) && !strcmp(message.member, "Response")) {
			show_answer();
			return;
		}
	puts("no response");
}

static void file(char **words)
{
	char bytes[4096];
	int opened = open(at(words, 1), O_RDONLY | O_CLOEXEC);
	ssize_t got = opened < 0 ? -1 : read(opened, bytes, sizeof bytes - 1);

	said(words);
	if (got < 0) {
		puts(strerrorname_np(errno));
	} else {
		bytes[got] = 0;
		bytes[strcspn(bytes, "\n")] = 0;
		puts(bytes);
	}
	if (opened >= 0)
		close(opened);
}

static void entries(char **words)
{
	struct dirent **found;
	int count = scandir(at(words, 1), &found, NULL, alphasort);

	if (count < 0) {
		said(words);
		puts(strerrorname_np(errno));
	}
	for (int i = 0; i < count; i++)
		if (strcmp(found[i]->d_name, ".") && strcmp(found[i]->d_name, ".."))
			printf("%s %s %s: there\n", words[0], words[1], found[i]->d_name);
}

static void write_file(char **words)
{
	int opened = open(at(words, 1), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	said(words);
	puts(opened >= 0 && write(opened, "written\n", 8) == 8 ? "written" : strerrorname_np(errno));
	if (opened >= 0)
		close(opened);
}

// Answers those who call meanwhile.
static void wait_for_line(char **words)
{
	char byte = 0;
	const char *why;

	said(words);
	puts("goes on");
	while (byte != '\n') {
		struct pollfd ready[] = { { STDIN_FILENO, POLLIN, 0 }, { bus.socket, POLLIN, 0 } };
		if (poll(ready, 2, -1) < 0)
			break;
		if (ready[0].revents && read(STDIN_FILENO, &byte, 1) <= 0)
			break;
		if (!ready[1].revents)
			continue;
		int came;
		while ((came = wire_receive(&bus, &message, 0)) == 1)
			unasked(&message);
		if (came < 0) {
			puts("came end: the bus has gone");
			close(bus.socket);
			bus.socket = -1;
		}
	}
	// Everything that was sent to it before comes before this answer.
	if (bus.socket >= 0)
		ask_bus("GetId", "", words, &why);
}

// --- what no client says

#define TEXT(bytes) bytes, sizeof bytes - 1
// %s is the user's number; at | it waits for an answer, as clients do.
static const struct { const char *name, *text; size_t length; } introductions[] = {
	{ "as-it-should-be", TEXT("\0AUTH EXTERNAL %s\r\n|BEGIN\r\n") },
	{ "in-two-steps", TEXT("\0AUTH EXTERNAL\r\n|DATA %s\r\n|BEGIN\r\n") },
	{ "at-once", TEXT("\0AUTH EXTERNAL %s\r\nBEGIN\r\n") },
	{ "begin-space", TEXT("\0AUTH EXTERNAL %s\r\n|BEGIN \r\n") },
	{ "begin-spaces", TEXT("\0AUTH EXTERNAL %s\r\n|BEGIN          \r\n") },
	{ "begin-tab", TEXT("\0AUTH EXTERNAL %s\r\n|BEGIN\t\r\n") },
	{ "begin-word", TEXT("\0AUTH EXTERNAL %s\r\n|BEGIN now\r\n") },
	{ "begin-more", TEXT("\0AUTH EXTERNAL %s\r\n|BEGINNING\r\n") },
	{ "begin-lower", TEXT("\0AUTH EXTERNAL %s\r\n|begin\r\n") },
	{ "begin-newline", TEXT("\0AUTH EXTERNAL %s\r\n|BEGIN\n") },
	{ "begin-indented", TEXT("\0AUTH EXTERNAL %s\r\n| BEGIN\r\n") },
	{ "begin-return", TEXT("\0AUTH EXTERNAL %s\r\n|BEGIN\r\r\n") },
	{ "begin-nothing", TEXT("\0AUTH EXTERNAL %s\r\n|BEGIN\0\r\n") },
	{ "begin-twice", TEXT("\0AUTH EXTERNAL %s\r\n|BEGIN\r\nBEGIN\r\n") },
	{ "begin-first", TEXT("\0BEGIN\r\nAUTH EXTERNAL %s\r\n") },
	{ "begin-in-auth", TEXT("\0AUTH EXTERNAL %s BEGIN\r\n") },
	{ "descriptors", TEXT("\0AUTH EXTERNAL %s\r\n|NEGOTIATE_UNIX_FD\r\n|BEGIN \r\n") },
	{ "newlines", TEXT("\0AUTH EXTERNAL %s\nBEGIN\n") },
	{ "no-byte", TEXT("AUTH EXTERNAL %s\r\n|BEGIN\r\n") },
	{ "two-bytes", TEXT("\0\0AUTH EXTERNAL %s\r\n|BEGIN\r\n") },
	{ "not-ascii", TEXT("\0\xc3\xa4\r\n|AUTH EXTERNAL %s\r\n|BEGIN\r\n") },
	{ "anonymous", TEXT("\0AUTH ANONYMOUS\r\n|BEGIN\r\n") },
	{ "root", TEXT("\0AUTH EXTERNAL 30\r\n|BEGIN\r\n") },
	{ "nobody", TEXT("\0BEGIN\r\n") },
	{ "nothing", TEXT("\0") },
	{ "cancel", TEXT("\0AUTH EXTERNAL %s\r\n|CANCEL\r\n|BEGIN\r\n") },
	{ "long", NULL, 0 },
};
#define INTRODUCTIONS (sizeof introductions / sizeof *introductions)

static bool say(int socket, struct buffer *out)
{
	bool sent = send(socket, out->bytes, out->length, MSG_NOSIGNAL) >= 0;

	out->length = 0;
	return sent;
}

static void add(struct buffer *out, const void *bytes, size_t length)
{
	memcpy(out->bytes + out->length, bytes, length);
	out->length += length;
}

// Hello and a call, which have these numbers. The call is sent again behind the answer to Hello: the proxy has no
// answer for some that come sooner.
enum { HELLO = 1, SOON = 2, LATER = 3 };

static void add_call(struct buffer *out, const char *name, const char *path, const char *interface, const char *member,
	uint32_t serial)
{
	static struct buffer one;

	wire_call(&message, name, path, interface, member);
	wire_message(&one, &message, serial);
	add(out, one.bytes, one.length);
}

// The introduction, and with its end Hello and the call.
static bool introduce(int socket, size_t which, const char *name)
{
	static struct buffer out;
	static char much[40000];
	char right[256], id[64];
	const char *text = introductions[which].text;
	size_t length = wire_authentication(right, sizeof right);

	// The number is its last word.
	snprintf(id, sizeof id, "%.*s", (int)(length - 17), right + 15);
	out.length = 0;
	if (!text) {
		memset(much, 'A', sizeof much);
		add(&out, "", 1);
		add(&out, much, sizeof much);
		add(&out, right, length);
		add(&out, "BEGIN\r\n", 7);
	}
	for (size_t i = 0; i < introductions[which].length; i++)
		if (text[i] == '|') {
			struct pollfd answer = { socket, POLLIN, 0 };
			if (!say(socket, &out) || poll(&answer, 1, 1000) != 1 || read(socket, much, sizeof much) <= 0)
				return false;
		} else if (text[i] == '%') {
			add(&out, id, strlen(id));
			i++;
		} else {
			add(&out, text + i, 1);
		}
	add_call(&out, BUS, BUS_PATH, BUS, "Hello", HELLO);
	add_call(&out, name, "/", FIXTURE, "Ping", SOON);
	return say(socket, &out);
}

// All of them, and then waits for all: many are never answered.
static void authenticate(char **words)
{
	static struct buffer out, in[INTRODUCTIONS];
	struct pollfd open[INTRODUCTIONS];
	const char *result[INTRODUCTIONS];
	static char errors[INTRODUCTIONS][256];
	size_t left = 0;

	for (size_t i = 0; i < INTRODUCTIONS; i++) {
		const char *address = getenv("DBUS_SESSION_BUS_ADDRESS");
		open[i] = (struct pollfd){ address ? wire_connect(address) : -1, POLLIN, 0 };
		result[i] = open[i].fd < 0 ? "no bus" : "refused";
		if (open[i].fd >= 0 && !introduce(open[i].fd, i, at(words, 1))) {
			close(open[i].fd);
			open[i].fd = -1;
		}
		left += open[i].fd >= 0;
	}
	while (left > 0 && poll(open, INTRODUCTIONS, 1500) > 0)
		for (size_t i = 0; i < INTRODUCTIONS; i++) {
			if (open[i].fd < 0 || !open[i].revents)
				continue;
			ssize_t got = read(open[i].fd, in[i].bytes + in[i].length, ROOM - in[i].length);
			in[i].length += got > 0 ? got : 0;
			// Lines come first. A message begins with the letter for its byte order.
			unsigned char *end;
			while (in[i].length > 0 && *in[i].bytes != 'l' && (end = memchr(in[i].bytes, '\n', in[i].length))) {
				in[i].length -= end + 1 - in[i].bytes;
				memmove(in[i].bytes, end + 1, in[i].length);
			}
			int taken = 0;
			while (in[i].length > 0 && *in[i].bytes == 'l' && (taken = wire_take(&in[i], &message)) == 1)
				if (message.answered == HELLO) {
					add_call(&out, at(words, 1), "/", FIXTURE, "Ping", LATER);
					say(open[i].fd, &out);
				} else if (message.answered == LATER || (message.answered == SOON && message.kind == ANSWER)) {
					snprintf(errors[i], sizeof errors[i], "%s", message.kind == ERROR ? message.error : "reached");
					result[i] = errors[i];
				}
			if (got <= 0 || taken < 0 || result[i] == errors[i]) {
				close(open[i].fd);
				open[i].fd = -1;
				left--;
			}
		}
	for (size_t i = 0; i < INTRODUCTIONS; i++) {
		printf("authenticate %s %s: %s\n", at(words, 1), introductions[i].name, result[i]);
		if (open[i].fd >= 0)
			close(open[i].fd);
	}
}

static void try(char *commands)
{
	char *line, *words[WORDS];

	open_bus((char *[]){ "open", NULL });
	while ((line = strsep(&commands, "\n"))) {
		split(line, words);
		if (!words[0] || *words[0] == '#')
			continue;
		if (!strcmp(words[0], "open"))
			open_bus(words);
		else if (!strcmp(words[0], "names"))
			names(words, "ListNames");
		else if (!strcmp(words[0], "activatable"))
			names(words, "ListActivatableNames");
		else if (!strcmp(words[0], "own"))
			own(words, "RequestName", "su");
		else if (!strcmp(words[0], "release"))
			own(words, "ReleaseName", "s");
		else if (!strcmp(words[0], "call") || !strcmp(words[0], "request"))
			call(words, *words[0] == 'r');
		else if (!strcmp(words[0], "listen"))
			listening = true;
		else if (!strcmp(words[0], "expect")) {
			snprintf(expected, sizeof expected, "%s", at(words, 1));
			expected_came = false;
		} else if (!strcmp(words[0], "await")) {
			while (!expected_came && wire_receive(&bus, &message, PATIENCE) == 1)
				unasked(&message);
			said(words);
			puts(expected_came ? expected : "nothing came");
		} else if (!strcmp(words[0], "authenticate"))
			authenticate(words);
		else if (!strcmp(words[0], "connect")) {
			int made = wire_connect(at(words, 1));
			said(words);
			puts(made < 0 ? strerrorname_np(errno) : "connected");
			if (made >= 0)
				close(made);
		} else if (!strcmp(words[0], "file"))
			file(words);
		else if (!strcmp(words[0], "entries"))
			entries(words);
		else if (!strcmp(words[0], "write"))
			write_file(words);
		else if (!strcmp(words[0], "wait"))
			wait_for_line(words);
		else {
			fprintf(stderr, "probe: there is no command %s\n", words[0]);
			exit(2);
		}
	}
}

// --- on the host

// Calls `take` with the words of each line of the answers that begins with that word, without it.
static void answers_for(const char *answers, const char *first, void (*take)(char **, void *), void *with)
{
	char *line = NULL, *words[WORDS];
	size_t room = 0;
	FILE *file = fopen(answers, "re");

	if (!file)
		abort();
	while (getline(&line, &room, file) > 0) {
		line[strcspn(line, "\n")] = 0;
		split(line, words);
		if (words[0] && !strcmp(words[0], first))
			take(words + 1, with);
	}
	fclose(file);
	free(line);
}

static void fill(struct message *filled, char **words)
{
	char **values = words + (words[0] != NULL);

	snprintf(filled->signature, sizeof filled->signature, "%s", at(words, 0));
	if (!wire_values(&filled->body, filled->signature, &values))
		fprintf(stderr, "probe: wrong words to answer %s.%s\n", message.interface, message.member);
}

static void answer_with(char **words, void *answer)
{
	struct message *filled = answer;

	filled->kind = ANSWER;
	*filled->error = 0;
	fill(filled, words);
}

static void broadcast(char **words, void *unused)
{
	static struct message made;

	(void)unused;
	wire_call(&made, "", at(words, 0), at(words, 1), at(words, 2));
	made.kind = SIGNAL;
	fill(&made, words[0] && words[1] && words[2] ? words + 3 : words);
	wire_send(&bus, &made);
}

static int serve(char **arguments)
{
	static struct message answer;
	const char *why;
	FILE *log = fopen(arguments[0], "ae");
	char name[600];

	if (!log || !wire_open(&bus, &why)) {
		fprintf(stderr, "probe: cannot serve: %s\n", log ? why : arguments[0]);
		return 1;
	}
	for (char **wanted = arguments + 2; *wanted; wanted++)
		if (!ask_bus("RequestName", "su", (char *[]){ *wanted, "0", NULL }, &why) || message.kind != ANSWER)
			return 1;
	while (wire_receive(&bus, &message, -1) == 1) {
		if (message.kind != CALL)
			continue;
		if (strcmp(message.interface, "org.freedesktop.DBus.Properties")) {
			fprintf(log, "called %s.%s: ", message.interface, message.member);
			wire_show(log, &message);
			fputc('\n', log);
			fflush(log);
		}
		wire_call(&answer, message.sender, "", "", "");
		answer.answered = message.serial;
		answer.kind = ERROR;
		strcpy(answer.error, "org.freedesktop.DBus.Error.UnknownMethod");
		if (!strcmp(message.member, "Ping") || !strcmp(message.member, "Emit"))
			answer_with((char *[]){ NULL }, &answer);
		snprintf(name, sizeof name, "%s.%s", message.interface, message.member);
		answers_for(arguments[1], name, answer_with, &answer);
		// First: whoever has the answer knows that they were sent.
		if (!strcmp(message.member, "Emit"))
			answers_for(arguments[1], "emits", broadcast, NULL);
		wire_send(&bus, &answer);
	}
	return 0;
}

int main(int count, char **arguments)
{
	// Somebody waits for some of the lines.
	setlinebuf(stdout);
	if (count == 3 && !strcmp(arguments[1], "try")) {
		try(arguments[2]);
		return 0;
	}
	if (count > 4 && !strcmp(arguments[1], "serve"))
		return serve(arguments + 2);
	fputs("usage: probe try COMMANDS | serve LOG ANSWERS NAME...\n", stderr);
	return 2;
}
