/* The program that a bench starts: stamps the moment at which its own main begins, then says for which file it was
 * started. In: argv[1] the file of stamps; argv[2] the name, or else the first "lfn" of the job file named by
 * TIER0_JOB. Out: one line "nanoseconds name" appended with one write. Must do nothing before it has the time. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char job[65536];

static const char *name_from_job(void)
{
    const char *path = getenv("TIER0_JOB");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return "?";
    ssize_t got = read(fd, job, sizeof job - 1);
    close(fd);
    if (got <= 0)
        return "?";
    job[got] = 0;
    char *key = strstr(job, "\"lfn\"");
    char *colon = key ? strchr(key, ':') : NULL;
    char *open_quote = colon ? strchr(colon, '"') : NULL;
    char *close_quote = open_quote ? strchr(open_quote + 1, '"') : NULL;
    if (!close_quote)
        return "?";
    *close_quote = 0;
    const char *slash = strrchr(open_quote + 1, '/');
    return slash ? slash + 1 : open_quote + 1;
}

int main(int argc, char **argv)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (argc < 2)
        return 2;
    const char *name = argc > 2 ? argv[2] : name_from_job();
    char line[512];
    int length = snprintf(line, sizeof line, "%lld %s\n",
                          (long long)now.tv_sec * 1000000000LL + now.tv_nsec, name);
    int fd = open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, line, (size_t)length) != length)
        return 1;
    return 0;
}
