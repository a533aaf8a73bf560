// SPDX-License-Identifier: MIT
// What daemon_prepare_process() has changed, for those who want to know.
#ifndef DAEMON_PROCESS_H
#define DAEMON_PROCESS_H

void process_log_ignored(void); // variables of the environment that were taken away

#endif
