// An SMSC at the port given: takes all but one destination, sends receipts as TLVs and one message from a phone; prints
// what it took as lines of JSON.
'use strict';

const smpp = require('smpp');

let names = 0;
let receiver = null;
const server = smpp.createServer((session) => {
  const bind = (pdu) => {
    session.send(pdu.response({ system_id: 'theirs' }));
    if (pdu.command !== 'bind_transmitter') {
      receiver = session;
      const phone = { source_addr: '14155550199', destination_addr: '14155550100' };
      // Left to itself the library says 1, which is ASCII, and writes in the GSM alphabet all the same.
      session.deliver_sm({ ...phone, data_coding: 0, short_message: 'Grüße' });
    }
  };
  ['bind_transceiver', 'bind_transmitter', 'bind_receiver'].forEach((command) => session.on(command, bind));
  session.on('submit_sm', (pdu) => {
    if (pdu.destination_addr === '15005550011') {
      session.send(pdu.response({ command_status: smpp.ESME_RINVDSTADR }));
      return;
    }
    names += 1;
    const { short_message: said } = pdu;
    const message = pdu.message_payload ? pdu.message_payload.message : said.message;
    process.stdout.write(`${JSON.stringify({
      source: pdu.source_addr, ton: pdu.source_addr_ton, dest: pdu.destination_addr, text: message.toString(),
      part: pdu.sar_segment_seqnum || (said.udh ? said.udh[0][said.udh[0].length - 1] : 0), valid: pdu.validity_period,
    })}\n`);
    session.send(pdu.response({ message_id: `node-${names}` }));
    receiver.deliver_sm({
      source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: 4, short_message: '',
      receipted_message_id: `node-${names}`, message_state: 2,
    });
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => { session.send(pdu.response()); session.close(); });
  session.on('error', () => {});
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => process.stdout.write('ready\n'));
