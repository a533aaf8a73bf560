// SPDX-License-Identifier: MIT
// What the process takes of the machine. Its sources are opened once, so that they can be read when
// there are no descriptors left, or no files may be opened any more.
#ifndef ADMIN_PROCESS_H
#define ADMIN_PROCESS_H

#include <stdint.h>

struct process;

struct process_facts {
    uint64_t resident_bytes, cpu_us;
    uint64_t open_fds, max_fds;
    int pid;
};

struct process *process_new(void);
void process_free(struct process *process);
// What cannot be known is 0.
void process_read(struct process *process, struct process_facts *out);

#endif
