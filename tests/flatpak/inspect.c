// SPDX-License-Identifier: MIT OR Apache-2.0
// Prints what an application sees, one fact a line: "SECTION OBJECT: VALUE". What the kernel numbers at
// random is left out here; what the programs outside name at random is replaced by `compare`.
//
// inspect [NAMESPACE=NUMBER...]: the numbers of the host's namespaces, as in `user=4026531837`.
//
// Build: cc -static -DCALLS='"FILE"', with FILE made from <asm/unistd.h>: `[NUMBER] = "NAME",` lines.
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAST_CALL 470
#define LAST_FAMILY 46
#define MOUNTS 4096

static const char *names[LAST_CALL + 1] = {
#include CALLS
};

static void text(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = bytes[i];
		if (byte == '\n')
			fputs("\\n", stdout);
		else if (byte < 0x20 || byte == 0x7f || byte == '\\')
			printf("\\x%02x", byte);
		else
			putchar(byte);
	}
}

static void fact(const char *section, const char *object, const char *value)
{
	printf("%s ", section);
	text(object, strlen(object));
	fputs(": ", stdout);
	text(value, strlen(value));
	putchar('\n');
}

// The whole file, to be freed; NULL where it cannot be read. Files of /proc have no size.
static char *whole(const char *path, size_t *length)
{
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t room = 1 << 22, filled = 0;
	char *bytes;
	ssize_t got;

	if (file < 0)
		return NULL;
	bytes = malloc(room + 1);
	if (!bytes)
		abort();
	while (filled < room && (got = read(file, bytes + filled, room - filled)) > 0)
		filled += got;
	close(file);
	bytes[filled] = 0;
	if (length)
		*length = filled;
	return bytes;
}

// --- files

static const char *owner(uid_t id, uid_t mine)
{
	return id == mine ? "user" : "other";
}

static void content(const char *section, const char *path)
{
	size_t length;
	char *bytes = whole(path, &length);
	uint64_t hash = 0xcbf29ce484222325;

	if (!bytes) {
		printf("%s-content %s: %s\n", section, path, strerrorname_np(errno));
		return;
	}
	printf("%s-content %s: ", section, path);
	if (length <= 400) {
		text(bytes, length);
	} else {
		for (size_t i = 0; i < length; i++)
			hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3;
		printf("%zu bytes, %016llx", length, (unsigned long long)hash);
	}
	putchar('\n');
	free(bytes);
}

static void opened(const char *section, const char *path)
{
	int file = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	printf("%s-open %s: %s\n", section, path, file < 0 ? strerrorname_np(errno) : "opened");
	if (file >= 0)
		close(file);
}

// What there is at a path, and below it as deep as asked for.
static void tree(const char *section, const char *path, int depth, bool contents)
{
	struct stat data;
	char target[PATH_MAX] = "";
	struct dirent **entries;
	int count;

	if (lstat(path, &data) < 0) {
		fact(section, path, strerrorname_np(errno));
		return;
	}
	if (S_ISLNK(data.st_mode)) {
		printf("%s %s: -> ", section, path);
		ssize_t length = readlink(path, target, sizeof target - 1);
		text(target, length > 0 ? length : 0);
		putchar('\n');
		return;
	}
	printf("%s ", section);
	text(path, strlen(path));
	printf(": %s %03o", S_ISDIR(data.st_mode) ? "directory" : S_ISREG(data.st_mode) ? "file" :
		S_ISSOCK(data.st_mode) ? "socket" : S_ISFIFO(data.st_mode) ? "pipe" :
		S_ISCHR(data.st_mode) ? "char" : "block", data.st_mode & 07777);
	if (S_ISCHR(data.st_mode) || S_ISBLK(data.st_mode))
		printf(" %u:%u", major(data.st_rdev), minor(data.st_rdev));
	printf(" %s%s\n", access(path, R_OK) ? "" : "r", access(path, W_OK) ? errno == EROFS ? "-" : "" : "w");
	printf("owner %s: %s %s\n", path, owner(data.st_uid, getuid()), owner(data.st_gid, getgid()));
	if (contents && S_ISREG(data.st_mode))
		content(section, path);
	// The host's own, which others change, are not looked into.
	static const char *const hosts[] = {
		"/run/host/usr", "/run/host/etc", "/run/host/fonts", "/run/host/local-fonts", "/run/host/fonts-cache",
		"/run/host/share", "/run/media",
	};
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
		if (!strcmp(path, hosts[i]))
			depth = 0;
	if (!S_ISDIR(data.st_mode) || depth == 0)
		return;
	count = scandir(path, &entries, NULL, alphasort);
	if (count < 0) {
		printf("%s %s/: %s\n", section, path, strerrorname_np(errno));
		return;
	}
	for (int i = 0; i < count; i++) {
		char *below;
		if (strcmp(entries[i]->d_name, ".") && strcmp(entries[i]->d_name, "..")) {
			if (asprintf(&below, "%s/%s", strcmp(path, "/") ? path : "", entries[i]->d_name) < 0)
				abort();
			tree(section, below, depth - 1, contents);
			free(below);
		}
		free(entries[i]);
	}
	free(entries);
}

static void files(void)
{
	static const char *const nodes[] = {
		"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty",
		"/dev/ptmx", "/dev/console", "/dev/kmsg", "/dev/fuse", "/dev/kvm",
	};
	const char *home = getenv("HOME");

	tree("root", "/", 1, false);
	tree("etc", "/etc", 6, true);
	tree("run", "/run", 6, true);
	tree("dev", "/dev", 2, false);
	tree("tmp", "/tmp", 2, false);
	tree("var", "/var", 2, false);
	tree("sys", "/sys", 1, false);
	tree("app", "/app", 5, false);
	tree("usr", "/usr", 2, false);
	tree("gl", "/usr/lib/GL", 6, false);
	if (home) {
		tree("home", home, 2, false);
		char *apps;
		if (asprintf(&apps, "%s/.var", home) < 0)
			abort();
		tree("home", apps, 5, false);
		free(apps);
	}
	for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
		opened("dev", nodes[i]);
	// Where a file can be made, whatever the bits say.
	static const char *const directories[] = {
		"/", "/etc", "/run", "/run/host", "/run/flatpak", "/usr", "/app", "/var", "/var/tmp", "/tmp",
		"/dev", "/dev/shm", "/proc", "/proc/sys", "/sys",
	};
	for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
		char *file;
		if (asprintf(&file, "%s/.inspect", directories[i]) < 0)
			abort();
		int made = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		fact("make", directories[i], made < 0 ? strerrorname_np(errno) : "made");
		if (made >= 0) {
			close(made);
			unlink(file);
		}
		free(file);
	}
}

// --- mounts

static void mounts(void)
{
	static char *seen[MOUNTS];
	size_t count = 0;
	char *table = whole("/proc/self/mountinfo", NULL), *line, *rest = table;

	while (table && (line = strsep(&rest, "\n")) && *line) {
		// 36 35 98:0 ROOT POINT OPTIONS [OPTIONAL...] - TYPE SOURCE SUPER
		char *word, *fields[6] = { 0 }, shared[64] = "";
		int n = 0;
		while (n < 6 && (word = strsep(&line, " ")))
			fields[n++] = word;
		if (n < 6)
			continue;
		while ((word = strsep(&line, " ")) && strcmp(word, "-")) {
			strncat(shared, strchr(word, ':') ? strtok(word, ":") : word, 40);
			strcat(shared, " ");
		}
		int before = 0;
		for (size_t i = 0; i < count; i++)
			before += !strcmp(seen[i], fields[4]);
		if (count < MOUNTS)
			seen[count++] = fields[4];
		char *object;
		if (asprintf(&object, before ? "%s #%d" : "%s", fields[4], before + 1) < 0)
			abort();
		fact("mount-root", object, fields[3]);
		fact("mount-options", object, fields[5]);
		fact("mount-type", object, line ? line : "");
		if (*shared)
			fact("mount-propagation", object, shared);
		free(object);
	}
	free(table);
}

// --- processes

static void status(const char *process)
{
	static const char *const fields[] = {
		"Name", "Umask", "Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Seccomp_filters", "SigBlk", "SigIgn",
		"SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "Threads",
	};
	char path[64], section[64];
	snprintf(path, sizeof path, "/proc/%s/status", process);
	snprintf(section, sizeof section, "status-%s", process);
	char *table = whole(path, NULL), *line, *rest = table;

	while (table && (line = strsep(&rest, "\n"))) {
		char *value = strchr(line, ':');
		if (!value)
			continue;
		*value++ = 0;
		for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
			if (!strcmp(line, fields[i]))
				fact(section, line, value + strspn(value, "\t "));
	}
	free(table);
}

static void lines(const char *section, const char *path)
{
	char *table = whole(path, NULL), *line, *rest = table, number[16];
	int n = 0;

	if (!table)
		fact(section, "0", strerrorname_np(errno));
	while (table && (line = strsep(&rest, "\n")))
		if (*line) {
			snprintf(number, sizeof number, "%d", ++n);
			fact(section, number, line);
		}
	free(table);
}

// Each key with its group: their order means nothing.
static void info(void)
{
	char *table = whole("/.flatpak-info", NULL), *line, *rest = table, *group = "", *object;

	if (!table)
		fact("info", "-", strerrorname_np(errno));
	// The other place where it is shown, through the directory of the instance.
	struct dirent **entries;
	int count = scandir("/run/flatpak/.flatpak", &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		if (asprintf(&object, "/run/flatpak/.flatpak/%s/info", entries[i]->d_name) < 0)
			abort();
		char *copy = *entries[i]->d_name == '.' ? NULL : whole(object, NULL);
		if (copy)
			fact("info-copy", object, table && !strcmp(copy, table) ? "the same" : "another");
		free(copy);
		free(object);
		free(entries[i]);
	}
	while (table && (line = strsep(&rest, "\n"))) {
		char *value = strchr(line, '=');
		if (*line == '[') {
			group = line;
			fact("info-group", group, "");
		} else if (*line) {
			if (value)
				*value++ = 0;
			if (asprintf(&object, "%s %s", group, line) < 0)
				abort();
			fact("info", object, value ? value : "");
			free(object);
		}
	}
	free(table);
}

static void processes(int count, char **namespaces)
{
	struct dirent **entries;
	int found = scandir("/proc", &entries, NULL, versionsort);
	char path[PATH_MAX], target[PATH_MAX], number[16];

	for (int i = 0; i < found; i++) {
		const char *name = entries[i]->d_name;
		snprintf(path, sizeof path, "/proc/%s/comm", name);
		if (isdigit((unsigned char)*name)) {
			char *comm = whole(path, NULL);
			fact("process", name, comm ? strtok(comm, "\n") : "gone");
			free(comm);
		}
		free(entries[i]);
	}
	snprintf(number, sizeof number, "%d", getpid());
	fact("process", "self", number);
	snprintf(number, sizeof number, "%d", getppid());
	fact("process", "parent", number);
	status("self");
	status("1");
	lines("uid-map", "/proc/self/uid_map");
	lines("gid-map", "/proc/self/gid_map");
	lines("limits", "/proc/self/limits");
	lines("oom", "/proc/self/oom_score_adj");
	lines("personality", "/proc/self/personality");
	lines("hostname", "/proc/sys/kernel/hostname");
	lines("interfaces", "/proc/net/dev_mcast");
	// Of this process, for that of the first need not be its to look at.
	for (int i = 0; i < count; i++) {
		char *name = strtok(namespaces[i], "="), *theirs = strtok(NULL, "=");
		if (!name || !theirs)
			continue;
		snprintf(path, sizeof path, "/proc/self/ns/%s", name);
		ssize_t length = readlink(path, target, sizeof target - 1);
		target[length > 0 ? length : 0] = 0;
		fact("namespace", name, strstr(target, theirs) ? "the host's" : "another");
	}
	// What of the first process may be looked at.
	static const char *const views[] = { "root", "cwd", "exe", "fd", "environ", "ns/mnt", "mem", "maps" };
	for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
		snprintf(path, sizeof path, "/proc/1/%s", views[i]);
		int file = open(path, O_RDONLY | O_CLOEXEC);
		fact("process-1", views[i], file < 0 ? strerrorname_np(errno) : "opened");
		if (file >= 0)
			close(file);
	}
}

static void itself(char **environment)
{
	char path[64], target[PATH_MAX], object[16];

	for (int fd = 0; fd < 1024; fd++) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		ssize_t length = readlink(path, target, sizeof target - 1);
		if (length < 0)
			continue;
		target[length] = 0;
		char *bracket = strstr(target, ":[");
		if (bracket)
			*bracket = 0;
		snprintf(object, sizeof object, "%d", fd);
		fact("descriptor", object, target);
	}
	for (; *environment; environment++) {
		char *value = strchr(*environment, '=');
		if (value) {
			*value = 0;
			fact("environment", *environment, value + 1);
			*value = '=';
		}
	}
	fact("directory", ".", getcwd(target, sizeof target) ? target : strerrorname_np(errno));
}

// --- calls

#ifdef __x86_64__
// Without a function around it: the child of vfork(2) may not return from one.
static inline __attribute__((always_inline)) long call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		: "rcx", "r11", "memory");
	return result;
}

// Through the entry for 32-bit programs.
static long call_32(long number, long a, long b, long c)
{
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c)
		: "r8", "r9", "r10", "r11", "memory");
	return (int)result;
}
#else
static long call(long number, long a, long b, long c, long d, long e, long f)
{
	long result = syscall(number, a, b, c, d, e, f);
	return result < 0 ? -errno : result;
}
#endif

static volatile long *answer;

// How a call ended that a child of its own makes: where a process dies or waits, that is the answer.
static void report(const char *section, const char *object, pid_t child)
{
	int how;
	char value[32];

	if (child < 0 || waitpid(child, &how, 0) != child)
		abort();
	if (*answer != LONG_MIN)
		fact(section, object, *answer < 0 && *answer > -4096 ? strerrorname_np(-*answer) : "ok");
	else {
		snprintf(value, sizeof value, WIFSIGNALED(how) ? "signal %d" : "exit %d",
			WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
		fact(section, object, value);
	}
}

#define TRY(section, object, expression) do {                                                   \
	fflush(stdout);                                                                         \
	*answer = LONG_MIN;                                                                     \
	pid_t child = fork();                                                                   \
	if (child == 0) {                                                                       \
		/* A busy machine takes its time to write everything out. */                    \
		if (number != SYS_sync)                                                         \
			alarm(1);                                                               \
		/* What the call itself starts says nothing: it may be late. */                 \
		long self = call(SYS_getpid, 0, 0, 0, 0, 0, 0);                                 \
		long result = (expression);                                                     \
		if (call(SYS_getpid, 0, 0, 0, 0, 0, 0) == self)                                 \
			*answer = result;                                                       \
		call(SYS_exit_group, 0, 0, 0, 0, 0, 0);                                         \
	}                                                                                       \
	report(section, object, child);                                                         \
} while (0)

static void calls(void)
{
	struct rlimit none = { 0, 0 };
	char object[64];
	long number = 0;

	answer = mmap(NULL, sizeof *answer, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (answer == MAP_FAILED)
		abort();
	setrlimit(RLIMIT_CORE, &none);
	// Arguments that are wrong for every call that takes any; msgget(2) would make a queue with its.
	for (number = 0; number <= LAST_CALL; number++) {
		snprintf(object, sizeof object, "%ld %s", number, names[number] ? names[number] : "-");
		TRY("call", object, call(number, -1, number == SYS_msgget ? 0 : -1, -1, -1, -1, -1));
	}
	number = 0;
	for (long family = 0; family <= LAST_FAMILY; family++) {
		snprintf(object, sizeof object, "%ld", family);
		TRY("family", object, call(SYS_socket, family, SOCK_DGRAM, 0, 0, 0, 0));
		TRY("family-raw", object, call(SYS_socket, family, SOCK_RAW, 0, 0, 0, 0));
	}
	TRY("argument", "socket 1<<32|1", call(SYS_socket, 1L << 32 | 1, SOCK_DGRAM, 0, 0, 0, 0));
	TRY("argument", "socket -1", call(SYS_socket, -1, SOCK_DGRAM, 0, 0, 0, 0));
	TRY("argument", "socketpair netlink", call(SYS_socketpair, 16, SOCK_DGRAM, 0, -1, 0, 0));
	TRY("argument", "clone NEWUSER", call(SYS_clone, CLONE_NEWUSER | 17, 0, 0, 0, 0, 0));
	TRY("argument", "clone NEWUSER 1<<32", call(SYS_clone, 1L << 32 | CLONE_NEWUSER | 17, 0, 0, 0, 0, 0));
	TRY("argument", "clone NEWNS", call(SYS_clone, CLONE_NEWNS | 17, 0, 0, 0, 0, 0));
	TRY("argument", "clone NEWPID", call(SYS_clone, CLONE_NEWPID | 17, 0, 0, 0, 0, 0));
	TRY("argument", "unshare NEWUSER", call(SYS_unshare, CLONE_NEWUSER, 0, 0, 0, 0, 0));
	TRY("argument", "unshare 0", call(SYS_unshare, 0, 0, 0, 0, 0, 0));
	TRY("argument", "ioctl TIOCSTI", call(SYS_ioctl, -1, TIOCSTI, 0, 0, 0, 0));
	TRY("argument", "ioctl TIOCSTI 1<<32", call(SYS_ioctl, -1, 1L << 32 | TIOCSTI, 0, 0, 0, 0));
	TRY("argument", "ioctl TIOCLINUX", call(SYS_ioctl, -1, TIOCLINUX, 0, 0, 0, 0));
	TRY("argument", "ioctl TIOCLINUX 1<<32", call(SYS_ioctl, -1, 1L << 32 | TIOCLINUX, 0, 0, 0, 0));
	TRY("argument", "ioctl FIONREAD", call(SYS_ioctl, -1, FIONREAD, 0, 0, 0, 0));
	TRY("argument", "personality 0", call(SYS_personality, 0, 0, 0, 0, 0, 0));
	TRY("argument", "personality ask", call(SYS_personality, 0xffffffff, 0, 0, 0, 0, 0));
	TRY("argument", "personality ADDR_NO_RANDOMIZE", call(SYS_personality, 0x0040000, 0, 0, 0, 0, 0));
	TRY("argument", "ptrace TRACEME", call(SYS_ptrace, 0, 0, 0, 0, 0, 0));
	TRY("argument", "mount", call(SYS_mount, (long)"none", (long)"/tmp", (long)"tmpfs", 0, 0, 0));
	TRY("argument", "chroot", call(SYS_chroot, (long)"/", 0, 0, 0, 0, 0));
	TRY("argument", "keyctl get", call(SYS_keyctl, 0, -4, 0, 0, 0, 0));
	TRY("argument", "setresuid 0", call(SYS_setresuid, 0, 0, 0, 0, 0, 0));
	TRY("argument", "sethostname", call(SYS_sethostname, (long)"x", 1, 0, 0, 0, 0));
	TRY("argument", "bpf", call(SYS_bpf, 0, 0, 0, 0, 0, 0));
	TRY("argument", "userfaultfd", call(SYS_userfaultfd, 0, 0, 0, 0, 0, 0));
	TRY("argument", "io_uring_setup", call(SYS_io_uring_setup, 1, 0, 0, 0, 0, 0));
	TRY("argument", "memfd_create", call(SYS_memfd_create, (long)"x", 0, 0, 0, 0, 0));
	TRY("argument", "seccomp action", call(SYS_seccomp, 2, 0, (long)&(uint32_t){ 0x7fff0000 }, 0, 0, 0));
#ifdef __x86_64__
	TRY("argument", "modify_ldt read", call(SYS_modify_ldt, 0, 0, 0, 0, 0, 0));
	TRY("i386", "getpid", call_32(20, 0, 0, 0));
	TRY("i386", "socket unix", call_32(359, 1, SOCK_DGRAM, 0));
	TRY("i386", "socket vsock", call_32(359, 40, SOCK_STREAM, 0));
	TRY("i386", "socket alg", call_32(359, 38, 5, 0));
	TRY("i386", "socketcall", call_32(102, 1, -1, -1));
	TRY("i386", "unshare NEWUSER", call_32(310, CLONE_NEWUSER, 0, 0));
	TRY("i386", "clone3", call_32(435, -1, -1, -1));
	TRY("i386", "mount_setattr", call_32(442, -1, -1, -1));
	TRY("i386", "umount", call_32(22, -1, 0, 0));
	TRY("i386", "ptrace", call_32(26, 0, 0, 0));
	TRY("x32", "getpid", call(0x40000000 | 39, 0, 0, 0, 0, 0, 0));
	TRY("x32", "unshare NEWUSER", call(0x40000000 | 272, CLONE_NEWUSER, 0, 0, 0, 0, 0));
#endif
}

#include "bus.c"

int main(int count, char **arguments, char **environment)
{
	// The table of descriptors comes first: everything else opens some.
	itself(environment);
	processes(count - 1, arguments + 1);
	mounts();
	info();
	files();
	buses(getenv("FLATPAK_ID") ? getenv("FLATPAK_ID") : "");
	calls();
	return 0;
}
