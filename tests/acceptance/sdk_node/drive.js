// Drives the official Node SDK against Ringback; prints what it saw as one JSON object.
// usage: node drive.js BASE_URL AUTH_ID AUTH_TOKEN CALLBACK_URL
'use strict';

const plivo = require('plivo');

const [baseUrl, authId, authToken, callbackUrl] = process.argv.slice(2);

async function main() {
  const client = new plivo.Client(authId, authToken, { url: `${baseUrl}/v1/Account/${authId}` });
  const seen = {};

  const one = await client.messages.create({
    src: '+15005550100', dst: '+15005550001', text: 'Hello from Node', url: callbackUrl, method: 'GET',
  });
  seen.one = { messageUuid: one.messageUuid, message: one.message, apiId: one.apiId };

  const many = await client.messages.create({
    src: '15005550100', dst: ['15005550001', '15005550030', 'nonsense'], text: 'Grüße', log: false, url: callbackUrl,
  });
  seen.many = { messageUuid: many.messageUuid, invalidNumber: many.invalid_number || many.invalidNumber };

  const got = await client.messages.get(one.messageUuid[0]);
  seen.got = { messageUuid: got.messageUuid, units: got.units, fromNumber: got.fromNumber, totalRate: got.totalRate };

  const listed = await client.messages.list({ limit: 2 });
  seen.listed = Array.from(listed, (item) => item.messageUuid);

  seen.errors = {};
  const expectError = async (name, attempt) => {
    try {
      await attempt();
      seen.errors[name] = 'none';
    } catch (error) {
      seen.errors[name] = { name: error.name, status: error.status, message: String(error.message) };
    }
  };
  await expectError('invalid', () => client.messages.create({ src: '15005550100', dst: 'nonsense', text: 'x' }));
  await expectError('notFound', () => client.messages.get('db3ce55a-7f1d-11e1-8ea7-1231380bc196'));
  const stranger = new plivo.Client(authId, 'wrong', { url: `${baseUrl}/v1/Account/${authId}` });
  await expectError('unauthenticated', () => stranger.messages.list());

  process.stdout.write(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
