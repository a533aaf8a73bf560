// SPDX-License-Identifier: MIT
// A real OAuth 2.0 authorization server (npm oidc-provider) over https, for the end-to-end tests. Writes one JSON line
// per token request to standard output, so that tests can count them and see how they came.
//
// From the environment: PORT, CERT, KEY, CA (files), CLIENTS (JSON: [{client_id, client_secret, method, public_key,
// certificate, metadata}]; of the last three the first two are files, the third is more of the client's registration).
// How long a token lives is told by the resource asked for: urn:ttl:4 is four seconds; without one it is an hour.
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import * as jose from 'jose';
import Provider from 'oidc-provider';

const port = Number(process.env.PORT);
const scope = 'api:read api:write api:admin';

// The client's public key, under the name that its thumbprint is (RFC 7638), or its certificate.
async function jwkOf(public_key, certificate) {
  const pem = fs.readFileSync(public_key ?? certificate);
  const jwk = crypto.createPublicKey(pem).export({ format: 'jwk' });
  if (public_key) return { ...jwk, kid: await jose.calculateJwkThumbprint(jwk) };
  return { ...jwk, x5c: [new crypto.X509Certificate(pem).raw.toString('base64')] };
}

async function clientOf({ client_id, client_secret, method, public_key, certificate, metadata }) {
  const has_key = public_key || certificate;
  return {
    client_id,
    ...(client_secret && { client_secret }),
    ...(has_key && { jwks: { keys: [await jwkOf(public_key, certificate)] } }),
    ...metadata,
    token_endpoint_auth_method: method,
    id_token_signed_response_alg: 'ES256',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  };
}

function resourceServer(ctx, resource) {
  const ttl = /^urn:ttl:(\d+)$/.exec(resource);
  return {
    scope,
    audience: resource,
    accessTokenTTL: ttl ? Number(ttl[1]) : 3600,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'ES256' } },
  };
}

async function signingKey() {
  const { privateKey } = await jose.generateKeyPair('ES256', { extractable: true });
  return { ...(await jose.exportJWK(privateKey)), kid: 'server', alg: 'ES256', use: 'sig' };
}

const hmac = ['HS256', 'HS384', 'HS512'];
const asymmetric = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

// What is behind it in the certificate's chain was verified, or not; a client without one is a client, too.
const mTLS = {
  enabled: true,
  certificateBoundAccessTokens: true,
  tlsClientAuth: true,
  selfSignedTlsClientAuth: true,
  getCertificate(ctx) {
    const { raw } = ctx.req.socket.getPeerCertificate();
    return raw && new crypto.X509Certificate(raw);
  },
  certificateAuthorized: (ctx) => ctx.req.socket.authorized,
  certificateSubjectMatches: (ctx, property, expected) =>
    property === 'tls_client_auth_subject_dn' && `CN=${ctx.req.socket.getPeerCertificate().subject.CN}` === expected,
};

const provider = new Provider(`https://localhost:${port}`, {
  clients: await Promise.all(JSON.parse(process.env.CLIENTS).map(clientOf)),
  clientAuthMethods: [
    'none',
    'client_secret_basic',
    'client_secret_post',
    'client_secret_jwt',
    'private_key_jwt',
    'tls_client_auth',
    'self_signed_tls_client_auth',
  ],
  enabledJWA: { clientAuthSigningAlgValues: [...hmac, ...asymmetric] },
  cookies: { keys: ['only for tests'] },
  scopes: scope.split(' '),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    dPoP: { enabled: true, nonceSecret: crypto.randomBytes(32), requireNonce: () => true },
    mTLS,
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:ttl:3600',
      getResourceServerInfo: resourceServer,
    },
  },
  jwks: { keys: [await signingKey()] },
});

// GET /mark/N puts a line into the record: what came before it is complete when the line is seen.
provider.use(async (ctx, next) => {
  if (ctx.path.startsWith('/mark/')) {
    console.log(`mark ${ctx.path.slice('/mark/'.length)}`);
    ctx.status = 204;
    return;
  }
  await next();
  if (ctx.path !== '/token') return;
  const params = ctx.oidc?.params ?? {};
  console.log(
    JSON.stringify({
      method: ctx.method,
      status: ctx.status,
      client_id: ctx.oidc?.client?.clientId ?? null,
      scope: params.scope ?? null,
      resource: params.resource ?? null,
      in_header: Boolean(ctx.headers.authorization),
      in_body: params.client_secret !== undefined,
      assertion: params.client_assertion ?? null,
      dpop: ctx.headers.dpop ?? null,
      error: ctx.body?.error ?? null,
      access_token: ctx.body?.access_token ?? null,
    }),
  );
});

https
  .createServer(
    {
      key: fs.readFileSync(process.env.KEY),
      cert: fs.readFileSync(process.env.CERT),
      ca: fs.readFileSync(process.env.CA),
      requestCert: true,
      rejectUnauthorized: false,
    },
    provider.callback(),
  )
  .listen(port, '127.0.0.1', () => console.log('listening'));
