// Binds to the SMSC at the port given, sends, and hears what comes; prints all as one JSON object.
'use strict';

const smpp = require('smpp');

const [port, awaited] = process.argv.slice(2).map(Number);
const source = { source_addr: 'Ringback', source_addr_ton: 5, registered_delivery: 1 };
const session = smpp.connect({ host: '127.0.0.1', port });
const told = { answers: [], heard: [] };
const ask = (command, options) => new Promise((answered) => { session[command](options, answered); });

session.on('deliver_sm', (pdu) => {
  const { esm_class: kind, message_state: state, receipted_message_id: id, short_message: said } = pdu;
  told.heard.push({
    kind, state, id, source: pdu.source_addr, text: said.message.toString(), header: said.udh ? [...said.udh[0]] : null,
  });
  session.send(pdu.response());
  if (told.heard.length === awaited) finish();
});

async function finish() {
  told.enquired = (await ask('enquire_link', {})).command_status;
  told.unbound = (await ask('unbind', {})).command_status;
  session.close();
  process.stdout.write(JSON.stringify(told));
}

session.on('connect', async () => {
  told.bound = await ask('bind_transceiver', { system_id: 'me', password: 'secret' });
  const udh = (number) => Buffer.from([5, 0, 3, 7, 2, number]);
  for (const [destination_addr, options] of [
    ['15005550001', { data_coding: 0, short_message: 'Grüße €' }],
    ['15005550002', { data_coding: 8, short_message: '日本語 🎉' }],
    ['15005550003', { data_coding: 0, esm_class: 0x40, short_message: { udh: udh(1), message: 'first, ' } }],
    ['15005550003', { data_coding: 0, esm_class: 0x40, short_message: { udh: udh(2), message: 'second' } }],
    ['15005550011', { data_coding: 0, short_message: 'refused' }],
  ]) {
    const answer = await ask('submit_sm', { ...source, destination_addr, ...options });
    told.answers.push([answer.command_status, answer.message_id || '']);
  }
});
