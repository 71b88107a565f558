// Drives the official Node SDK's account, subaccount and pricing resources; prints what it saw as one JSON object.
// usage: node accounts.js BASE_URL AUTH_ID AUTH_TOKEN
'use strict';

const plivo = require('plivo');

const [baseUrl, authId, authToken] = process.argv.slice(2);

async function main() {
  const client = new plivo.Client(authId, authToken, { url: `${baseUrl}/v1/Account/${authId}` });
  const seen = {};

  const account = await client.accounts.get();
  seen.account = { resourceUri: account.resourceUri, cashCredits: account.cashCredits, billingMode: account.billingMode };
  seen.changed = (await client.accounts.update({ name: 'Node', city: 'Köln', address: '1' })).message;

  const made = await client.subaccounts.create('Shop', true);
  seen.made = { authId: made.authId, authToken: made.authToken, message: made.message };
  const found = await client.subaccounts.get(made.authId);
  seen.found = { name: found.name, enabled: found.enabled, authToken: found.authToken };
  seen.listed = Array.from(await client.subaccounts.list(), (item) => item.authId);
  seen.renamed = (await client.subaccounts.update(made.authId, 'Store', false)).message;
  seen.deleted = await client.subaccounts.delete(made.authId);

  const price = await client.pricings.get('US');
  seen.price = { country: price.country, rate: price.message.outbound.rate };

  try {
    await client.messages.create({ src: '15005550100', dst: '15005550001', text: 'Hello' });
  } catch (error) {
    seen.refused = { status: error.status, message: String(error.message) };
  }
  process.stdout.write(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
