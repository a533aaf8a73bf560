// SPDX-License-Identifier: MIT
// What daemon_prepare_process() has changed, for those who want to know or to have it back.
#ifndef DAEMON_PROCESS_H
#define DAEMON_PROCESS_H

void process_log_ignored(void); // variables of the environment that were taken away
// For commands: programs that close or select() every descriptor there may be suffer from many.
void process_restore_descriptor_limit(void);

#endif
