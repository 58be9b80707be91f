'use strict';
// A DynamoDB client in a page, so that the example needs nothing installed. A real app would use the AWS SDK.
const crypto = require('crypto');
const http = require('http');
const https = require('https');
const url = require('url');

const hmac = (key, text) => crypto.createHmac('sha256', key).update(text).digest();
const sha256 = (text) => crypto.createHash('sha256').update(text).digest('hex');

// Calls an operation with the credentials that Lambda gives to the function, signed with Signature Version 4.
exports.call = function (operation, input, callback) {
  const env = process.env;
  const region = env.AWS_REGION;
  const endpoint = url.parse(env.AWS_ENDPOINT_URL || 'https://dynamodb.' + region + '.amazonaws.com');
  const body = JSON.stringify(input);
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = [time.slice(0, 8), region, 'dynamodb', 'aws4_request'];
  const headers = {
    'content-type': 'application/x-amz-json-1.0',
    host: endpoint.host,
    'x-amz-date': time,
    'x-amz-security-token': env.AWS_SESSION_TOKEN,
    'x-amz-target': 'DynamoDB_20120810.' + operation,
  };
  const names = Object.keys(headers).sort();
  const lines = names.map((name) => name + ':' + headers[name] + '\n').join('');
  const canonical = ['POST', '/', '', lines, names.join(';'), sha256(body)].join('\n');
  const text = ['AWS4-HMAC-SHA256', time, scope.join('/'), sha256(canonical)].join('\n');
  const key = scope.reduce((key, part) => hmac(key, part), 'AWS4' + env.AWS_SECRET_ACCESS_KEY);
  headers.authorization =
    'AWS4-HMAC-SHA256 Credential=' + env.AWS_ACCESS_KEY_ID + '/' + scope.join('/') +
    ', SignedHeaders=' + names.join(';') + ', Signature=' + hmac(key, text).toString('hex');

  const transport = endpoint.protocol === 'http:' ? http : https;
  const options = { hostname: endpoint.hostname, port: endpoint.port, path: '/', method: 'POST', headers: headers };
  const request = transport.request(options, (response) => {
    const chunks = [];
    response.on('data', (chunk) => chunks.push(chunk));
    response.on('end', () => {
      const answer = JSON.parse(Buffer.concat(chunks).toString() || '{}');
      if (response.statusCode === 200) return callback(null, answer);
      const kind = String(answer.__type).split('#').pop();
      callback(new Error(kind + ': ' + (answer.message || answer.Message)));
    });
  });
  request.on('error', callback);
  request.end(body);
};
