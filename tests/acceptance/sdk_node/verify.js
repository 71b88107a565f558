// Verifies callbacks with the official Node SDK: reads a JSON list of requests from standard input,
// prints for each whether V2, Ma-V2, V3 and Ma-V3 are right.
'use strict';

const plivo = require('plivo');

let input = '';
process.stdin.on('data', (part) => { input += part; });
process.stdin.on('end', () => {
  const results = JSON.parse(input).map(({ method, url, headers, params, token }) => {
    const bare = url.split('?')[0];
    const v2 = (header) => plivo.validateSignature(bare, headers['x-plivo-signature-v2-nonce'], headers[header], token);
    const v3 = (header) => plivo.validateV3Signature(
      method, url, headers['x-plivo-signature-v3-nonce'], token, headers[header], params,
    );
    return [
      v2('x-plivo-signature-v2'), v2('x-plivo-signature-ma-v2'),
      v3('x-plivo-signature-v3'), v3('x-plivo-signature-ma-v3'),
    ];
  });
  process.stdout.write(JSON.stringify(results));
});
