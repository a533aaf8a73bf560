// SPDX-License-Identifier: MIT
// Checks that several kinds of sections have in common; for check.c and its neighbours alone. Each
// adds a fault or warning, or says nothing.
#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "config/draft.h"

void check_credential(struct draft *draft, const struct draft_section *section);
void check_process(struct draft *draft, const struct draft_section *section);
void check_reach(struct draft *draft); // once all sections are complete

void check_missing(struct draft *draft, const struct draft_section *section, const char *key);
// NULL secrets pass. One that cannot be read now is a warning (T34).
void check_secret(struct draft *draft, const struct draft_section *section, const char *key,
                  const struct secret *secret); // printable ASCII
void check_binary_secret(struct draft *draft, const struct draft_section *section, const char *key,
                         const struct secret *secret, size_t min); // any bytes, `min` or more
void check_private_key(struct draft *draft, const struct draft_section *section, const char *key,
                       const struct secret *secret); // PEM
void check_plaintext(struct draft *draft, const struct draft_section *section, const char *key,
                     const struct config_url *url, bool is_allowed);
void check_certificate(struct draft *draft, const struct draft_section *section,
                       const struct config_tls *tls);
void check_tls(struct draft *draft, const struct draft_section *section,
               const struct config_tls *tls, const struct config_url *url);
void check_commas(struct draft *draft, const struct draft_section *section,
                  const struct config_strings *scopes);

#endif
