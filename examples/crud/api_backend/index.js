'use strict';
// GET /resource/{resourceId}: reads the item of that id. Written as in December 2016: callbacks and context.done.
const dynamodb = require('./dynamodb');

exports.get = function (event, context) {
  const id = event.pathParameters.resourceId;
  const answer = (statusCode, body) =>
    context.done(null, {
      statusCode: statusCode,
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });

  dynamodb.call('GetItem', { TableName: process.env.TABLE, Key: { id: { S: id } } }, (error, result) => {
    if (error) {
      console.log('GetItem failed:', error.message);
      return answer(500, { resourceId: id, message: error.message });
    }
    const item = result.Item || null;
    answer(200, { resourceId: id, item: item });
  });
};

// Not reachable through the API: shows that the role's policy is kept. AmazonDynamoDBReadOnlyAccess refuses it.
exports.put = function (event, context) {
  const item = { id: { S: String(event.id) } };
  dynamodb.call('PutItem', { TableName: process.env.TABLE, Item: item }, (error) => {
    context.done(error, 'written');
  });
};
