// Verifies access tokens as any Node service would: a line of JSON in (a token), a line of JSON out (claims or an error).
// Usage: node verify.mjs JWKS_URL ISSUER AUDIENCE. It is copied to where `jose` is installed and run there.
import { createInterface } from 'node:readline'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const [jwksUrl, issuer, audience] = process.argv.slice(2)
const keys = createRemoteJWKSet(new URL(jwksUrl), { cooldownDuration: 0 }) // a key is looked for whenever it is unknown

for await (const line of createInterface({ input: process.stdin })) {
  try {
    const { payload, protectedHeader } = await jwtVerify(JSON.parse(line), keys, { issuer, audience, typ: 'at+jwt' })
    console.log(JSON.stringify({ claims: payload, kid: protectedHeader.kid }))
  } catch (error) {
    console.log(JSON.stringify({ error: error.code }))
  }
}
