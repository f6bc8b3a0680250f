/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The floor of the benchmark: builds the sandbox of a plan with the system calls that this needs and
 * nothing else. No request, no socket, no checks: the plan is trusted (see src/plan.rs for its form),
 * an existing mount point is good, every failure ends it. With file capabilities it makes no user
 * namespace; without them it makes one, as the helper does.
 *
 * Usage: floor PLAN. Its exit status is the payload's; 125 for a failed call, named on stderr. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* <sys/mount.h> and <linux/mount.h> cannot be included together everywhere. */
extern int mount(const char *, const char *, const char *, unsigned long, const void *);
extern int umount2(const char *, int);
#ifndef MS_REC
#define MS_REC 16384
#define MS_PRIVATE (1 << 18)
#endif
#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif

struct landlock_scoped {
	uint64_t fs, net, scoped;
};

static char *at;
static int privileged;

static void die(const char *call, const char *object)
{
	fprintf(stderr, "floor: %s %s: %s\n", call, object, strerror(errno));
	_exit(125);
}

static long must(long result, const char *call, const char *object)
{
	if (result < 0)
		die(call, object);
	return result;
}

/* A mount point that is there already will do. */
static void made(int result, const char *call, const char *path)
{
	if (result < 0 && errno != EEXIST && errno != EROFS)
		die(call, path);
}

static char *word(void)
{
	char *start = at;

	at += strlen(at) + 1;
	return start;
}

static unsigned long number(void)
{
	return strtoul(word(), NULL, 10);
}

static int clone_tree(const char *path, int dir, int recursive, uint64_t attributes)
{
	struct mount_attr attr = { .attr_set = attributes, .propagation = MS_PRIVATE };
	int deep = recursive ? AT_RECURSIVE : 0;
	int source, tree;

	source = must(openat(dir, path, O_PATH | O_CLOEXEC), "open", path);
	tree = must(syscall(SYS_open_tree, source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
			    AT_EMPTY_PATH | deep), "open_tree", path);
	close(source);
	must(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | deep, &attr, sizeof attr),
	     "mount_setattr", path);
	return tree;
}

static void attach(int tree, const char *path)
{
	must(syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH),
	     "move_mount", path);
	close(tree);
}

static int file_system(const char *type, const char *const *options, unsigned int attributes)
{
	int context = must(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC), "fsopen", type);
	int tree;

	for (; options && *options; options += 2)
		must(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, options[0], options[1], 0),
		     "fsconfig", options[0]);
	must(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "fsconfig", type);
	tree = must(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes), "fsmount", type);
	close(context);
	return tree;
}

static void map(const char *file, const char *text)
{
	int fd = must(open(file, O_WRONLY | O_CLOEXEC), "open", file);

	must(write(fd, text, strlen(text)), "write", file);
	close(fd);
}

static void maps(unsigned int uid, unsigned int gid)
{
	char line[64];

	map("/proc/self/setgroups", "deny");
	snprintf(line, sizeof line, "%u %u 1", gid, gid);
	map("/proc/self/gid_map", line);
	snprintf(line, sizeof line, "%u %u 1", uid, uid);
	map("/proc/self/uid_map", line);
}

static void loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket", "lo");

	must(ioctl(fd, SIOCSIFFLAGS, &request), "ioctl", "lo");
	close(fd);
}

static const struct { const char *name; dev_t device; } nodes[] = {
	{ "null", 0x103 }, { "zero", 0x105 }, { "full", 0x107 },
	{ "random", 0x108 }, { "urandom", 0x109 }, { "tty", 0x500 },
};
#define NODES (sizeof nodes / sizeof *nodes)

static int node_tree[NODES];

static void devices(const char *path)
{
	static const char *const links[] = {
		"ptmx", "pts/ptmx", "fd", "/proc/self/fd", "stdin", "/proc/self/fd/0",
		"stdout", "/proc/self/fd/1", "stderr", "/proc/self/fd/2",
	};
	static const char *const dev[] = { "mode", "0755", NULL };
	static const char *const shm[] = { "mode", "01777", NULL };
	static const char *const pts[] = { "newinstance", "", "ptmxmode", "0666", "mode", "0620", NULL };
	/* Device nodes work on this file system in the privileged case only. */
	int tree = file_system("tmpfs", dev, MOUNT_ATTR_NOSUID | (privileged ? 0 : MOUNT_ATTR_NODEV));
	int context, slave;
	size_t i;

	for (i = 0; i < NODES; i++)
		must(mknodat(tree, nodes[i].name, privileged ? S_IFCHR | 0666 : S_IFREG | 0666,
			     privileged ? nodes[i].device : 0), "mknod", nodes[i].name);
	for (i = 0; i < sizeof links / sizeof *links; i += 2)
		must(symlinkat(links[i + 1], tree, links[i]), "symlink", links[i]);
	must(mkdirat(tree, "pts", 0755), "mkdir", "pts");
	must(mkdirat(tree, "shm", 0755), "mkdir", "shm");
	must(syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH),
	     "move_mount", path);
	must(fchdir(tree), "fchdir", path);
	close(tree);
	if (!privileged)
		for (i = 0; i < NODES; i++)
			attach(node_tree[i], nodes[i].name);
	attach(file_system("tmpfs", shm, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV), "shm");
	/* "newinstance" is a flag without a value. */
	context = must(syscall(SYS_fsopen, "devpts", FSOPEN_CLOEXEC), "fsopen", "devpts");
	must(syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, pts[0], NULL, 0), "fsconfig", pts[0]);
	must(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, pts[2], pts[3], 0), "fsconfig", pts[2]);
	must(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, pts[4], pts[5], 0), "fsconfig", pts[4]);
	must(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "fsconfig", "devpts");
	slave = must(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
			     MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), "fsmount", "devpts");
	close(context);
	attach(slave, "pts");
	must(chdir("/"), "chdir", "/");
}

/* Made while the old /proc is still there: a user namespace may have a new one only then. */
static int proc_tree;

static void proc(const char *path, int protect)
{
	static const char *const covered[] = { "sys", "sysrq-trigger", "irq", "bus" };
	int tree = proc_tree;
	size_t i;

	must(syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH),
	     "move_mount", path);
	for (i = 0; protect && i < sizeof covered / sizeof *covered; i++) {
		int cover;

		/* Not every kernel has them all. */
		if (faccessat(tree, covered[i], F_OK, 0) < 0)
			continue;
		cover = clone_tree(covered[i], tree, 0, MOUNT_ATTR_RDONLY);
		must(syscall(SYS_move_mount, cover, "", tree, covered[i], MOVE_MOUNT_F_EMPTY_PATH),
		     "move_mount", covered[i]);
		close(cover);
	}
	close(tree);
}

static void root(void)
{
	static const char *const options[] = { "mode", "0755", NULL };
	int tree = file_system("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);

	proc_tree = file_system("proc", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	must(syscall(SYS_move_mount, tree, "", AT_FDCWD, "/tmp", MOVE_MOUNT_F_EMPTY_PATH),
	     "move_mount", "/tmp");
	must(fchdir(tree), "fchdir", "/");
	close(tree);
	must(syscall(SYS_pivot_root, ".", "."), "pivot_root", ".");
	must(umount2(".", MNT_DETACH), "umount2", ".");
	must(chdir("/"), "chdir", "/");
}

static void build(const int *trees)
{
	char mode[16];
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	root();
	for (;;) {
		char kind = *word();
		char *path, *more;
		unsigned long bits;
		int fd;

		switch (kind) {
		case 'b':	/* bind: kind, path */
			more = word();
			path = word();
			if (*more == 'd')
				made(mkdir(path, 0755), "mkdir", path);
			else
				made(mknod(path, S_IFREG | 0444, 0), "mknod", path);
			attach(*trees++, path);
			break;
		case 't': {	/* tmpfs: mode, size ("" for none), path */
			const char *options[] = { "mode", mode, "size", NULL, NULL };

			snprintf(mode, sizeof mode, "%lo", number());
			more = word();
			path = word();
			if (*more)
				options[3] = more;
			else
				options[2] = NULL;
			made(mkdir(path, 0755), "mkdir", path);
			attach(file_system("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV), path);
			break;
		}
		case 'p':	/* proc: protect, path */
			bits = number();
			path = word();
			made(mkdir(path, 0755), "mkdir", path);
			proc(path, bits);
			break;
		case 'D':	/* devices: path */
			path = word();
			made(mkdir(path, 0755), "mkdir", path);
			devices(path);
			break;
		case 'm':	/* mqueue: path */
			path = word();
			made(mkdir(path, 0755), "mkdir", path);
			attach(file_system("mqueue", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					   MOUNT_ATTR_NOEXEC), path);
			break;
		case 'd':	/* directory: mode, path */
			bits = number();
			path = word();
			made(mkdir(path, bits), "mkdir", path);
			break;
		case 'f':	/* file: mode, length, path, bytes */
			bits = number();
			{
				size_t length = number();

				path = word();
				fd = must(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, bits),
					  "open", path);
				if (length)
					must(write(fd, at, length), "write", path);
				close(fd);
				at += length;
			}
			break;
		case 's':	/* symlink: target, path */
			more = word();
			path = word();
			made(symlink(more, path), "symlink", path);
			break;
		case 'c':	/* chmod: mode, path */
			bits = number();
			path = word();
			must(chmod(path, bits), "chmod", path);
			break;
		case 'r':	/* remount read-only: path */
			path = word();
			must(syscall(SYS_mount_setattr, AT_FDCWD, path, 0, &attr, sizeof attr),
			     "mount_setattr", path);
			break;
		default:	/* '.': the end of the operations */
			return;
		}
	}
}

static void drop(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	must(syscall(SYS_capset, &header, none), "capset", "");
}

/* Never returns. The filters and the program follow in the plan. */
static void payload(void)
{
	unsigned long filters, count;
	char *directory;
	char **list[2];
	int which;

	must(setpgid(0, 0), "setpgid", "");
	if (number()) {
		struct landlock_scoped scoped = { 0, 0, 3 };
		int rules = must(syscall(SYS_landlock_create_ruleset, &scoped, sizeof scoped, 0),
				 "landlock_create_ruleset", "");

		must(syscall(SYS_landlock_restrict_self, rules, 0), "landlock_restrict_self", "");
		close(rules);
	}
	umask(number());
	directory = word();
	must(chdir(directory), "chdir", directory);
	for (which = 0; which < 2; which++) {
		count = number();
		list[which] = malloc((count + 1) * sizeof(char *));
		for (unsigned long i = 0; i < count; i++)
			list[which][i] = word();
		list[which][count] = NULL;
	}
	char *program = word();

	for (filters = number(); filters; filters--) {
		size_t length = number();
		struct sock_fprog filter = { .len = length / 8 };

		/* The kernel copies it; the plan keeps no alignment. */
		filter.filter = malloc(length);
		memcpy(filter.filter, at, length);
		at += length;
		must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter), "seccomp", "");
	}
	execve(program, list[0], list[1]);
	die("execve", program);
}

static int ended(pid_t child)
{
	int status;

	for (;;) {
		pid_t pid = must(waitpid(-1, &status, 0), "wait", "");

		if (pid == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

int main(int argc, char **argv)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct held[2];
	struct rlimit files;
	struct stat stat;
	unsigned int uid = geteuid(), gid = getegid();
	unsigned long binds, flags;
	char *hostname;
	pid_t child;
	int fd, *trees;

	if (argc != 2)
		return 125;
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl", "");
	must(syscall(SYS_capget, &header, held), "capget", "");
	privileged = held[0].permitted >> CAP_SYS_ADMIN & 1;
	fd = must(open(argv[1], O_RDONLY | O_CLOEXEC), "open", argv[1]);
	must(fstat(fd, &stat), "fstat", argv[1]);
	at = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		die("mmap", argv[1]);
	close(fd);
	binds = number();
	flags = number();
	hostname = word();
	trees = malloc((binds + 1) * sizeof *trees);
	must(getrlimit(RLIMIT_NOFILE, &files), "getrlimit", "");
	if (files.rlim_cur < binds + 64) {
		files.rlim_cur = files.rlim_max;
		must(setrlimit(RLIMIT_NOFILE, &files), "setrlimit", "");
	}

	/* Cloning needs the mount namespace that the capability is for. */
	if (!privileged) {
		must(unshare(flags | CLONE_NEWNS | CLONE_NEWUSER), "unshare", "user");
		maps(uid, gid);
	}
	for (unsigned long i = 0; i < binds; i++) {
		uint64_t attributes = number();

		trees[i] = clone_tree(word(), AT_FDCWD, 1, attributes);
	}
	if (!privileged) {
		static char path[] = "/dev/urandom";

		for (size_t i = 0; i < NODES; i++) {
			strcpy(path + 5, nodes[i].name);
			node_tree[i] = clone_tree(path, AT_FDCWD, 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
		}
	} else {
		must(unshare(flags | CLONE_NEWNS), "unshare", "");
	}
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount", "/");
	if (flags & CLONE_NEWNET)
		loopback();
	if (*hostname)
		must(sethostname(hostname, strlen(hostname)), "sethostname", hostname);
	child = must(fork(), "fork", "init");
	if (child == 0) {
		umask(0);
		build(trees);
		drop();
		must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "prctl", "");
		must(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL), "keyctl", "");
		child = must(fork(), "fork", "payload");
		if (child == 0)
			payload();
		_exit(ended(child));
	}
	drop();
	must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "prctl", "");
	return ended(child);
}
