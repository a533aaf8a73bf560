// SPDX-License-Identifier: MIT
// What a JSON Web Token says, for people who look at one. Reads only: nothing here verifies a
// signature, so nothing may be decided by what comes out. Clients have no business with the inside
// of access tokens (RFC 9068 6): the proxy itself never looks.
#ifndef TOKEN_JWT_H
#define TOKEN_JWT_H

#include "base/buf.h"
#include "base/err.h"

// Appends {"header": …, "claims": …} in printable ASCII, indented, with a newline at the end.
// False and the reason, which quotes nothing of the token, if it is no signed JWT.
bool jwt_print(struct str token, struct buf *out, struct err *err) WARN_UNUSED;

#endif
