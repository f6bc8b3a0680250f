// SPDX-License-Identifier: MIT OR Apache-2.0
// D-Bus as it is on the wire, for a program that also has to say what no library would say: connections,
// messages, and values made from words and printed as text.
#ifndef WIRE_H
#define WIRE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ROOM (1 << 17)
#define DESCRIPTORS 16

enum kind { CALL = 1, ANSWER = 2, ERROR = 3, SIGNAL = 4 };

struct buffer {
	unsigned char bytes[ROOM];
	size_t length;
	int descriptors[DESCRIPTORS];
	size_t described;
};

// A message that came, or one to be sent. What is absent is the empty string.
struct message {
	enum kind kind;
	uint32_t serial, answered;
	char path[256], interface[256], member[256], error[256], destination[256], sender[256], signature[256];
	struct buffer body;
};

struct connection {
	int socket;
	uint32_t serial;
	char name[256];
	struct buffer in;
};

// The socket of an address, or -1 with errno. `unix:path=` and `unix:abstract=`, the first that works.
int wire_connect(const char *address);
// What a client says before its first message.
size_t wire_authentication(char *text, size_t room);
// The session bus of DBUS_SESSION_BUS_ADDRESS, with a name; false and a word for why not otherwise.
bool wire_open(struct connection *connection, const char **why);
// Adds values of a signature, taken from the words; false where these do not fit.
bool wire_values(struct buffer *body, const char *signature, char ***words);
// The bytes of a message. Its serial number is set.
void wire_message(struct buffer *out, struct message *message, uint32_t serial);
// Takes one whole message from the front of what came: 1, 0 for one that is not whole yet, -1 for nonsense.
int wire_take(struct buffer *in, struct message *message);
// Sends; false when the other side has gone.
bool wire_send(struct connection *connection, struct message *message);
// Waits for the next message: 1, 0 when the time is over (a negative one never is), -1 when the other side has gone.
int wire_receive(struct connection *connection, struct message *message, int milliseconds);
// Prints the values of a body as text.
void wire_show(FILE *out, const struct message *message);
// A new message: a call with that and nothing else.
void wire_call(struct message *call, const char *destination, const char *path, const char *interface,
	const char *member);

#endif
