/* Faults of the operating system, put between a program and its C library (LD_PRELOAD).
 *
 * In: files in the folder SHIM_CONTROL, looked at when a call comes; and SHIM_MATCH, a part of the
 * path of files that calls must be on to be touched.
 *   sync-errno      fsync and fdatasync fail with this number
 *   write-errno     write, pwrite and writev fail with this number
 *   kill-at-sync    the process is killed before its so-manieth sync
 *   cut-at-sync     as if the power went then: of what it wrote and did not sync, every other piece
 *                   never reached the disk, and the last one only half
 *   clock-ahead-s   the wall clock is ahead by so many seconds (behind, if negative)
 *   hang-in         the thread of this name does not come back from asking the time
 * Out: the same calls, otherwise as ever. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int control(const char *name, char *text, size_t size)
{
	const char *folder = getenv("SHIM_CONTROL");
	char path[4096];
	int file;
	long got;

	if (!folder)
		return 0;
	snprintf(path, sizeof path, "%s/%s", folder, name);
	file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return 0;
	got = syscall(SYS_read, file, text, size - 1);
	syscall(SYS_close, file);
	text[got > 0 ? got : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	return got > 0;
}

static long number(const char *name)
{
	char text[64];

	return control(name, text, sizeof text) ? atol(text) : 0;
}

static int touched(int file)
{
	const char *part = getenv("SHIM_MATCH");
	char link[64], path[4096];
	ssize_t length;

	snprintf(link, sizeof link, "/proc/self/fd/%d", file);
	length = readlink(link, path, sizeof path - 1);
	if (!part || length < 0)
		return 0;
	path[length] = 0;
	return strstr(path, part) != NULL;
}

static int refuses(int file, const char *name)
{
	int saved = errno;
	long given = touched(file) ? number(name) : 0;

	errno = given ? (int)given : saved;
	return given != 0;
}

/* What was written and not synced yet: a power cut may take any of it. */
#define PIECES 65536
static struct piece { int file; off64_t at; size_t size; } pieces[PIECES];
static int written;
static int busy;

static void lock(void)
{
	while (__sync_lock_test_and_set(&busy, 1))
		usleep(10);
}

static void unlock(void)
{
	__sync_lock_release(&busy);
}

static void note_write(int file, off64_t at, size_t size)
{
	int saved = errno;

	if (touched(file) && number("cut-at-sync")) {
		lock();
		if (written < PIECES)
			pieces[written++] = (struct piece){ file, at, size };
		unlock();
	}
	errno = saved;
}

static void note_sync(int file)
{
	int from, to = 0;

	lock();
	for (from = 0; from < written; from++)
		if (pieces[from].file != file)
			pieces[to++] = pieces[from];
	written = to;
	unlock();
}

static void cut(void)
{
	static const char nothing[65536];
	int piece;

	lock();
	for (piece = 0; piece < written; piece++) {
		struct piece *lost = &pieces[piece];
		size_t half = piece == written - 1 ? lost->size / 2 : 0;
		size_t size = lost->size - half;

		if (piece % 2 && !half)
			continue;
		if (size > sizeof nothing)
			size = sizeof nothing;
		syscall(SYS_pwrite64, lost->file, nothing, size, lost->at + (off64_t)half);
	}
	kill(getpid(), SIGKILL);
}

static void count_sync(int file)
{
	static long syncs;
	int saved = errno;
	long last = touched(file) ? number("kill-at-sync") : 0;
	long power = touched(file) ? number("cut-at-sync") : 0;

	if ((last || power) && __sync_add_and_fetch(&syncs, 1) >= (last ? last : power)) {
		if (power)
			cut();
		kill(getpid(), SIGKILL);
	}
	errno = saved;
}

int fsync(int file)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");

	count_sync(file);
	if (refuses(file, "sync-errno"))
		return -1;
	note_sync(file);
	return real(file);
}

int fdatasync(int file)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");

	count_sync(file);
	if (refuses(file, "sync-errno"))
		return -1;
	note_sync(file);
	return real(file);
}

ssize_t write(int file, const void *bytes, size_t size)
{
	return refuses(file, "write-errno") ? -1 : syscall(SYS_write, file, bytes, size);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at)
{
	if (refuses(file, "write-errno"))
		return -1;
	note_write(file, at, size);
	return syscall(SYS_pwrite64, file, bytes, size, at);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at)
{
	return pwrite64(file, bytes, size, at);
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
	return refuses(file, "write-errno") ? -1 : syscall(SYS_writev, file, parts, count);
}

static int hangs(void)
{
	char wanted[64], name[32] = "";

	prctl(PR_GET_NAME, name);
	return control("hang-in", wanted, sizeof wanted) && !strcmp(name, wanted);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
	int result = (int)syscall(SYS_clock_gettime, clock, time);

	if (clock == CLOCK_REALTIME && result == 0) {
		int saved = errno;

		while (hangs())
			usleep(1000);
		time->tv_sec += number("clock-ahead-s");
		errno = saved;
	}
	return result;
}
