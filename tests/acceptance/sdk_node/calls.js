// Makes one call of every method that the official Node SDK has for messaging; gives 'works' or the error for each.
// module.exports(client, file) resolves to {outcomes, missing}: missing are methods that no call here is for.
'use strict';

const powerpacks = require('plivo/dist/resources/powerpacks.js');

const NOTHING = 'db3ce55a-7f1d-11e1-8ea7-1231380bc196';
const NO_NUMBER = '15005550199';
const INTERFACES = [
  'messages', 'accounts', 'subaccounts', 'pricings', 'verify', 'applications', 'numbers', 'media', 'powerpacks',
];
const OBJECTS = {
  Powerpack: powerpacks.Powerpack, Numbers: powerpacks.Numbers, Shortcode: powerpacks.Shortcode, Tollfree: powerpacks.Tollfree,
};
const BOUND_MS = 10000;

function own(prototype) {
  return Object.getOwnPropertyNames(prototype)
    .filter((name) => name !== 'constructor' && name !== 'search_query' && typeof prototype[name] === 'function');
}

function offered(client) {
  const names = INTERFACES.flatMap((name) => own(Object.getPrototypeOf(client[name])).map((method) => `${name}.${method}`));
  const objects = Object.entries(OBJECTS).flatMap(([name, kind]) => own(kind.prototype).map((method) => `${name}.${method}`));
  return [...names, ...objects];
}

function calls(client, file) {
  const made = { onOffer: [] };
  const keep = (name, value) => { made[name] = value; return value; };
  const onOffer = (at) => made.onOffer[at] || NO_NUMBER;
  const powerpack = () => client.powerpacks.get(made.powerpack || NOTHING);
  const subaccount = () => made.subaccount || `SA${'X'.repeat(18)}`;
  const application = () => made.application || '12345678901234567';
  const pool = async (kind) => (await powerpack()).number_pool[kind];
  return {
    'messages.create': async () => keep('message', (await client.messages.create('15005550100', '15005550001', 'Hello')).messageUuid[0]),
    'messages.send': () => client.messages.send('15005550100', '15005550001', 'Hello'),
    'messages.get': () => client.messages.get(made.message || NOTHING),
    'messages.list': () => client.messages.list({ limit: 5 }),
    'messages.listMedia': () => client.messages.listMedia(made.message || NOTHING),
    'accounts.get': () => client.accounts.get(),
    'accounts.update': () => client.accounts.update({ name: 'Table', city: 'Bonn', address: '1 Street' }),
    'subaccounts.create': async () => keep('subaccount', (await client.subaccounts.create('Table', true)).authId),
    'subaccounts.get': () => client.subaccounts.get(subaccount()),
    'subaccounts.list': () => client.subaccounts.list({ limit: 5 }),
    'subaccounts.update': () => client.subaccounts.update(subaccount(), 'Table 2', false),
    'subaccounts.delete': () => client.subaccounts.delete(subaccount(), true),
    'pricings.get': () => client.pricings.get('US'),
    'verify.initiate': async () => keep('verification', (await client.verify.initiate('15005550001', { alias: 'table', channel: 'sms' })).verificationUuid),
    'verify.verify': () => client.verify.verify(made.verification || NOTHING, '000000'),
    'verify.listVerifiedCallerId': () => client.verify.listVerifiedCallerId({ limit: 5 }),
    'verify.getVerifiedCallerId': () => client.verify.getVerifiedCallerId('15005550001'),
    'verify.updateVerifiedCallerId': () => client.verify.updateVerifiedCallerId('15005550001', { alias: 'table 2' }),
    'verify.deleteVerifiedCallerId': () => client.verify.deleteVerifiedCallerId('15005550001'),
    'applications.create': async () => keep('application', (await client.applications.create('table', { messageUrl: 'http://127.0.0.1:9/message' })).appId),
    'applications.get': () => client.applications.get(application()),
    'applications.list': () => client.applications.list({ limit: 5 }),
    'applications.update': () => client.applications.update(application(), { messageUrl: 'http://127.0.0.1:9/other' }),
    'applications.delete': () => client.applications.delete(application()),
    'numbers.search': async () => {
      const found = await client.numbers.search('US', { type: 'local' });
      made.onOffer = Array.from(found, (each) => each.number || each.id);
    },
    'numbers.buy': () => client.numbers.buy(onOffer(0)),
    'numbers.addOwnNumber': () => client.numbers.addOwnNumber([NO_NUMBER], 'carrier', 'region'),
    'numbers.list': () => client.numbers.list({ limit: 5 }),
    'numbers.get': () => client.numbers.get(onOffer(0)),
    'numbers.update': () => client.numbers.update(onOffer(0), { alias: 'table' }),
    'media.upload': async () => {
      const uploaded = await client.media.upload([file]);
      const first = uploaded.objects[0];
      keep('media', first.mediaId || first.media_id);
    },
    'media.get': () => client.media.get(made.media || NOTHING),
    'media.list': () => client.media.list({ limit: 5 }),
    'powerpacks.create': async () => keep('powerpack', (await client.powerpacks.create('table')).uuid),
    'powerpacks.get': powerpack,
    'powerpacks.list': () => client.powerpacks.list({ limit: 5 }),
    'powerpacks.update': () => client.powerpacks.update(made.powerpack || NOTHING, { name: 'table 2' }),
    'Powerpack.update': async () => (await powerpack()).update({ name: 'table 3' }),
    'Powerpack.add_number': async () => (await powerpack()).add_number(onOffer(0)),
    'Powerpack.list_numbers': async () => (await powerpack()).list_numbers({ limit: 5 }),
    'Powerpack.count_numbers': async () => (await powerpack()).count_numbers(),
    'Powerpack.find_number': async () => (await powerpack()).find_number(onOffer(0)),
    'Powerpack.remove_number': async () => (await powerpack()).remove_number(onOffer(0)),
    'Powerpack.buy_add_number': async () => (await powerpack()).buy_add_number({ number: onOffer(1) }),
    'Powerpack.add_tollfree': async () => (await powerpack()).add_tollfree('18005550100'),
    'Powerpack.list_tollfree': async () => (await powerpack()).list_tollfree({ limit: 5 }),
    'Powerpack.find_tollfree': async () => (await powerpack()).find_tollfree('18005550100'),
    'Powerpack.remove_tollfree': async () => (await powerpack()).remove_tollfree('18005550100'),
    'Powerpack.list_shortcodes': async () => (await powerpack()).list_shortcodes({ limit: 5 }),
    'Powerpack.find_shortcode': async () => (await powerpack()).find_shortcode('444444'),
    'Powerpack.remove_shortcode': async () => (await powerpack()).remove_shortcode('444444'),
    'Numbers.buy_add_number': async () => (await pool('numbers')).buy_add_number({ number: onOffer(2) }),
    'Numbers.add': async () => (await pool('numbers')).add(onOffer(0)),
    'Numbers.list': async () => (await pool('numbers')).list({ limit: 5 }),
    'Numbers.count': async () => (await pool('numbers')).count(),
    'Numbers.find': async () => (await pool('numbers')).find(onOffer(0)),
    'Numbers.remove': async () => (await pool('numbers')).remove(onOffer(0)),
    'Shortcode.list': async () => (await pool('shortcodes')).list({ limit: 5 }),
    'Shortcode.find': async () => (await pool('shortcodes')).find('444444'),
    'Shortcode.remove': async () => (await pool('shortcodes')).remove('444444'),
    'Tollfree.add': async () => (await pool('tollfree')).add('18005550100'),
    'Tollfree.list': async () => (await pool('tollfree')).list({ limit: 5 }),
    'Tollfree.find': async () => (await pool('tollfree')).find('18005550100'),
    'Tollfree.remove': async () => (await pool('tollfree')).remove('18005550100'),
    'Powerpack.delete': async () => (await powerpack()).delete(),
    'numbers.unrent': () => client.numbers.unrent(onOffer(0)),
  };
}

function told(error) {
  const text = String((error && error.message) || error).split('\n')[0];
  try {
    return `${error.status} ${JSON.parse(text).error}`;
  } catch (_) {
    return error && error.status ? `${error.status} ${text}` : text;
  }
}

async function outcome(call) {
  let timer;
  const bound = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('no answer')), BOUND_MS); });
  try {
    const answer = await Promise.race([Promise.resolve().then(call), bound]);
    // Arguments that the SDK itself refuses come back instead of being thrown.
    return answer instanceof Error ? told(answer) : 'works';
  } catch (error) {
    return told(error);
  } finally {
    clearTimeout(timer);
  }
}

module.exports = async function run(client, file) {
  const table = calls(client, file);
  const outcomes = {};
  for (const [name, call] of Object.entries(table)) {
    outcomes[name] = await outcome(call);
  }
  return { outcomes, missing: offered(client).filter((name) => !(name in table)) };
};
