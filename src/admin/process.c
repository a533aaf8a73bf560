// SPDX-License-Identifier: MIT
// See process.h.
#include "admin/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

struct process {
    int statm_fd; // -1: there is no /proc
    DIR *fds;     // NULL: likewise
};

struct process *process_new(void)
{
    struct process *process = mem_alloc(sizeof *process);
    process->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    process->fds = opendir("/proc/self/fd");
    return process;
}

void process_free(struct process *process)
{
    if (process->statm_fd >= 0)
        close(process->statm_fd);
    if (process->fds)
        closedir(process->fds);
    mem_free(process);
}

// The second word, in pages (proc(5)).
static uint64_t read_resident(int fd)
{
    char text[128];
    ssize_t len = pread(fd, text, sizeof text, 0);
    struct str rest = {text, len > 0 ? (size_t)len : 0}, word = STR_NONE;
    uint64_t pages = 0;
    for (int i = 0; i < 2; i++)
        if (!str_word(&rest, &word))
            return 0;
    if (!str_to_u64(word, &pages))
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t count_fds(DIR *fds)
{
    uint64_t count = 0;
    if (!fds)
        return 0;
    rewinddir(fds);
    const struct dirent *entry;
    while ((entry = readdir(fds)))
        count += entry->d_name[0] != '.';
    return count;
}

void process_read(struct process *process, struct process_facts *out)
{
    struct timespec cpu = {0};
    struct rlimit limit = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    getrlimit(RLIMIT_NOFILE, &limit);
    *out = (struct process_facts){
        .resident_bytes = process->statm_fd < 0 ? 0 : read_resident(process->statm_fd),
        .cpu_us = (uint64_t)cpu.tv_sec * 1000000 + (uint64_t)cpu.tv_nsec / 1000,
        .open_fds = count_fds(process->fds),
        .max_fds = limit.rlim_cur,
        .pid = getpid(),
    };
}
