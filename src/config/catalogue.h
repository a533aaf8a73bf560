// SPDX-License-Identifier: MIT
// Catalogues of scopes, the [scopes CREDENTIAL] sections: from lines to a credential's list, and
// from the alias or value that a `scopes =` says to the value that is sent.
#ifndef CONFIG_CATALOGUE_H
#define CONFIG_CATALOGUE_H

#include "config/draft.h"
#include "config/reader.h"

void catalogue_add(struct draft *draft, struct draft_section *section,
                   const struct reader_setting *line);
void catalogue_fini(struct catalogue *catalogue);

// Gives each credential the catalogue of its name, and holds its own scopes to it.
void catalogue_assign(struct draft *draft);
// `scopes` of a section must be in the credential's catalogue, if it has one.
void catalogue_check(struct draft *draft, const struct draft_section *section,
                     const struct config_strings *scopes,
                     const struct config_credential *credential);
// May that scope, as written, be asked for?
bool catalogue_has(const struct config_credential *credential, const char *scope,
                   struct err *err) WARN_UNUSED;
// The value to send for a scope as written.
const char *catalogue_value(const struct config_credential *credential, const char *scope);

#endif
