// SPDX-License-Identifier: MIT
// What a configuration makes bearerd use of the machine: files, folders, commands. Found by the
// types of the settings, so that a new setting is found as well.
#ifndef CONFIG_USES_H
#define CONFIG_USES_H

#include "config/config.h"

enum config_use {
    USE_FILE,    // read: the configuration, secrets, certificates, assertions
    USE_WRITTEN, // read and written, with files of like names beside it: a database
    USE_SOCKET,  // a unix socket to listen on
    USE_ADDRESS, // a TCP address to listen on
    USE_COMMAND, // a command line
};

// Folders that a service has of its own, ended by NULL: they are in reach, and written to, whether
// or not the configuration names them yet, so that a reload may begin to use them.
extern const char *const config_own_folders[];

// Calls visit for each; the same may come several times. value is borrowed for the call.
typedef void config_visit_fn(void *arg, enum config_use use, const char *value);
void config_visit_uses(const struct config *config, config_visit_fn *visit, void *arg);

#endif
