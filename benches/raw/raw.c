/* The raw limit: what inotify and a spawn cost, nothing durable. In: argv[1] the folder to watch, argv[2] the program,
 * argv[3] the file of stamps, argv[4] "plain" or "folder" (then each start also gets what the job contract costs
 * whoever fulfils it: a folder of its own, a job file and two capture files), argv[5] the work folder. Runs until
 * killed; prints "ready" when it watches. Must never wait for a child before it has started the next one. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char job_text[] =
    "{\"schema\":1,\"job\":1,\"attempt\":1,\"epoch\":1,\"task\":\"each\",\"pipeline\":\"bench\",\"run\":1,"
    "\"lumis\":[[1,1]],\"inputs\":[{\"lfn\":\"x\",\"path\":\"/x\",\"bytes\":1}],\"conditions\":{\"tags\":{}},"
    "\"parameters\":{},\"cores\":1,\"memory_bytes\":1073741824,\"wall_s\":600,\"outputs\":[]}";

static void start(char **argv, const char *name, int with_folder, long number)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char folder[4096], path[4400];
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    if (with_folder) {
        snprintf(folder, sizeof folder, "%s/%ld", argv[5], number);
        mkdir(folder, 0755);
        snprintf(path, sizeof path, "%s/job.json", folder);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd >= 0) {
            if (write(fd, job_text, sizeof job_text - 1) < 0)
                perror("job.json");
            close(fd);
        }
        snprintf(path, sizeof path, "%s/stdout", folder);
        posix_spawn_file_actions_addopen(&actions, 1, path, O_WRONLY | O_CREAT, 0644);
        snprintf(path, sizeof path, "%s/stderr", folder);
        posix_spawn_file_actions_addopen(&actions, 2, path, O_WRONLY | O_CREAT, 0644);
        posix_spawn_file_actions_addchdir_np(&actions, folder);
    }
    char *child[] = {argv[2], argv[3], (char *)name, NULL};
    pid_t pid;
    int failed = posix_spawn(&pid, argv[2], &actions, &attributes, child, environ);
    if (failed)
        fprintf(stderr, "spawn: %s\n", strerror(failed));
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
}

int main(int argc, char **argv)
{
    if (argc < 6)
        return 2;
    int with_folder = strcmp(argv[4], "folder") == 0;
    int events = inotify_init1(IN_CLOEXEC);
    if (events < 0 || inotify_add_watch(events, argv[1], IN_MOVED_TO) < 0)
        return 1;
    puts("ready");
    fflush(stdout);
    static char buffer[1 << 16] __attribute__((aligned(8)));
    long number = 0;
    for (;;) {
        ssize_t got = read(events, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return 1;
        for (char *at = buffer; at < buffer + got;) {
            struct inotify_event *event = (struct inotify_event *)at;
            if (event->len) {
                start(argv, event->name, with_folder, ++number);
                /* After the start, and never waiting: so that the time of children counts as ours. */
                while (waitpid(-1, NULL, WNOHANG) > 0)
                    ;
            }
            at += sizeof *event + event->len;
        }
    }
}
