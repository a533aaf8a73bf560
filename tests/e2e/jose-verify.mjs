// SPDX-License-Identifier: MIT
// Verifies what bearerd signs with npm jose, an implementation that has nothing in common with ours. A JSON array on
// standard input, of {token, alg, typ, key} (key: PEM of a public key or certificate, or a secret for HS…; null: the
// one embedded in the head, as proofs have it); an array of {head, claims, thumbprint} or {error} on standard output.
// The thumbprint is that of the key (RFC 7638).
import fs from 'node:fs';
import crypto from 'node:crypto';
import * as jose from 'jose';

function keyOf({ alg, key }) {
  if (key === null) return jose.EmbeddedJWK;
  return alg.startsWith('HS') ? new TextEncoder().encode(key) : crypto.createPublicKey(key);
}

async function verify(item) {
  try {
    const { alg, typ } = item;
    const key = keyOf(item);
    const { protectedHeader, payload } = await jose.jwtVerify(item.token, key, { algorithms: [alg], typ });
    const jwk = item.key === null ? protectedHeader.jwk : !alg.startsWith('HS') && (await jose.exportJWK(key));
    return { head: protectedHeader, claims: payload, thumbprint: jwk ? await jose.calculateJwkThumbprint(jwk) : null };
  } catch (error) {
    return { error: error.code ?? String(error) };
  }
}

const items = JSON.parse(fs.readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(await Promise.all(items.map(verify))));
