// SPDX-License-Identifier: MIT
// A real OAuth 2.0 authorization server (npm oidc-provider) over https, for the end-to-end tests. Writes one JSON line
// per token request to standard output, so that tests can count them and see how they came.
//
// From the environment: PORT, CERT, KEY, CA (files), CLIENTS (JSON: [{client_id, client_secret, method}]). How long
// a token lives is told by the resource asked for: urn:ttl:4 is four seconds; without one it is an hour.
import fs from 'node:fs';
import https from 'node:https';
import * as jose from 'jose';
import Provider from 'oidc-provider';

const port = Number(process.env.PORT);
const scope = 'api:read api:write api:admin';

function clientOf({ client_id, client_secret, method }) {
  return {
    client_id,
    client_secret,
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

const provider = new Provider(`https://localhost:${port}`, {
  clients: JSON.parse(process.env.CLIENTS).map(clientOf),
  clientAuthMethods: ['client_secret_basic', 'client_secret_post'],
  cookies: { keys: ['only for tests'] },
  scopes: scope.split(' '),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
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
      error: ctx.body?.error ?? null,
      access_token: ctx.body?.access_token ?? null,
    }),
  );
});

https
  .createServer({ key: fs.readFileSync(process.env.KEY), cert: fs.readFileSync(process.env.CERT) }, provider.callback())
  .listen(port, '127.0.0.1', () => console.log('listening'));
