// SPDX-License-Identifier: MIT
// Scripts for shells that complete the command line, from the table of subcommands. All on standard
// output, for scripts/generate.
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

void completion_bash(void);
void completion_zsh(void);
void completion_fish(void);
void completion_topics(void); // what `bearerd help` explains, a line each: asked by those scripts

#endif
