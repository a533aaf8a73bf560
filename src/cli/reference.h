// SPDX-License-Identifier: MIT
// The table of settings as text: for people at a terminal, and as the generated parts of
// conf/reference.ini, docs/config.md and bearerd.conf(5). All on standard output.
#ifndef CLI_REFERENCE_H
#define CLI_REFERENCE_H

#include "config/settings.h"

void reference_ini(void);
void reference_markdown(void);
void reference_man(void);

void reference_section(enum section_kind kind); // its keys, a line each
void reference_setting(const struct setting *setting);

#endif
