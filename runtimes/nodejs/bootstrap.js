// Runs a Node.js function inside its sandbox.
//
// Descriptor 3 brings frames from the server, descriptor 4 takes frames to it (see ../README.md). Waiting for the next
// invocation blocks the thread: nothing of the function runs between invocations, as on AWS, where it is frozen.
//
// A generic worker is started before any function is known and waits for its settings in `start`.
'use strict';

const fs = require('fs');
const path = require('path');
const util = require('util');

const IN = 3;
const OUT = 4;
const RESPONSE_BYTES_MAX = 6 * 1024 * 1024 + 100;

// ---------------------------------------------------------------- frames

let rest = Buffer.alloc(0);
const room = Buffer.allocUnsafe(65536);

function fill(atLeast) {
  const parts = [rest];
  let length = rest.length;
  while (length < atLeast) {
    let count;
    const into = atLeast - length > room.length ? Buffer.allocUnsafe(atLeast - length) : room;
    try {
      count = fs.readSync(IN, into, 0, into.length, null);
    } catch (error) {
      if (error.code === 'EAGAIN' || error.code === 'EINTR') continue;
      throw error;
    }
    if (count === 0) process.reallyExit(0); // the server is gone
    parts.push(Buffer.from(into.subarray(0, count)));
    length += count;
  }
  rest = parts.length === 1 ? rest : Buffer.concat(parts, length);
}

/** Waits for a frame: its kind (a character code) and body. */
function receive() {
  fill(4);
  const end = 4 + rest.readUInt32LE(0);
  fill(end);
  const frame = { kind: rest[4], body: rest.subarray(5, end) };
  rest = rest.subarray(end);
  return frame;
}

function writeAll(buffer) {
  let done = 0;
  while (done < buffer.length) {
    try {
      done += fs.writeSync(OUT, buffer, done, buffer.length - done);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

function send(kind, body) {
  const isText = typeof body === 'string';
  const length = isText ? Buffer.byteLength(body) : body.length;
  const frame = Buffer.allocUnsafe(5 + length);
  frame.writeUInt32LE(1 + length, 0);
  frame[4] = kind.charCodeAt(0);
  if (isText) frame.write(body, 5);
  else frame.set(body, 5);
  writeAll(frame);
}

function sendLog(level, text) {
  const length = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(14 + length);
  frame.writeUInt32LE(10 + length, 0);
  frame[4] = 76; // L
  frame.writeBigInt64LE(BigInt(Date.now()), 5);
  frame[13] = level;
  frame.write(text, 14);
  writeAll(frame);
}

// ---------------------------------------------------------------- errors, as AWS words them

class RuntimeError extends Error {
  constructor(kind, message) {
    super(message);
    this.name = `Runtime.${kind}`;
  }
}

class UnhandledPromiseRejection extends RuntimeError {
  constructor(reason, promise) {
    super('UnhandledPromiseRejection', reason);
    this.reason = reason;
    this.promise = promise;
  }
}

const NEVER_SETTLED =
  'The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a Promise ' +
  'that was never settled. For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes';
const NO_CALLBACKS =
  'AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need to modify ' +
  'this function to use a supported handler signature to use Node.js 24 or later. For more information see ' +
  'https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.';

function looksLikeError(value) {
  const text = (name) => typeof value[name] === 'string' && value[name];
  return value && text('name') && text('message') && text('stack');
}

function errorPayload(error) {
  const clean = (text) => String(text ?? '').replaceAll('\x7F', '%7F');
  const trace = legacy ? 'stackTrace' : 'trace';
  try {
    if (util.types.isNativeError(error) || looksLikeError(error)) {
      const lines = clean(error.stack).split('\n');
      return {
        errorType: clean(error.name),
        errorMessage: clean(error.message),
        [trace]: legacy ? lines.slice(1).map((line) => line.trim().replace(/^at /, '')) : lines,
      };
    }
    if (legacy && typeof error === 'string') return { errorMessage: error };
    return { errorType: typeof error, errorMessage: error.toString(), [trace]: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage:
        'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack',
    };
  }
}

/** For the log: what an error knows is not enumerable, and would be missing. */
function describe(error) {
  const withFields = (_key, value) => {
    if (!(value instanceof Error)) return value;
    const known = { errorType: value.name, errorMessage: value.message, code: value.code, ...value };
    if (typeof value.stack === 'string') known.stack = value.stack.split('\n');
    return known;
  };
  try {
    return '\t' + JSON.stringify(error, withFields);
  } catch {
    return '\t' + JSON.stringify(errorPayload(error));
  }
}

function logError(title, error) {
  const real = error instanceof Error ? error : new Error(error);
  if (jsonLogs) console.error(real);
  else console.error(title, describe(real));
}

// ---------------------------------------------------------------- console

let requestId;
let jsonLogs = false;
let legacy = false;

const LEVELS = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };

function textLine(level, parameters) {
  const name = legacy ? '' : `${level}\t`;
  return `${new Date().toISOString()}\t${requestId}\t${name}${util.format(...parameters)}\n`;
}

function errorFields(error) {
  return {
    errorType: error?.constructor?.name ?? 'UnknownError',
    errorMessage: error.message,
    stackTrace: typeof error.stack === 'string' ? error.stack.split('\n') : [],
  };
}

function jsonLine(level, parameters) {
  const record = { timestamp: new Date().toISOString(), level, requestId };
  if (parameters.length === 1) {
    const replace = (_key, value) => (value instanceof Error ? { ...errorFields(value), ...value } : value);
    try {
      return JSON.stringify({ ...record, message: parameters[0] }, replace);
    } catch {
      return JSON.stringify({ ...record, message: util.format(parameters[0]) });
    }
  }
  record.message = util.format(...parameters);
  const error = parameters.find((parameter) => parameter instanceof Error);
  return JSON.stringify(error ? { ...record, ...errorFields(error) } : record);
}

function patchConsole() {
  jsonLogs = process.env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === 'JSON';
  const lowest = LEVELS[process.env.AWS_LAMBDA_LOG_LEVEL?.toUpperCase()] ?? LEVELS.TRACE;
  const line = jsonLogs ? jsonLine : textLine;
  for (const [level, number] of Object.entries(LEVELS)) {
    const wanted = number >= lowest || level === 'FATAL';
    console[level.toLowerCase()] = wanted
      ? (...parameters) => sendLog(number, line(level, parameters))
      : () => {};
  }
  console.log = console.info;
}

/** Standard output and error as frames, so that their order among the console's lines is kept. */
function patchStreams() {
  const make = (fd) => {
    const { Writable } = require('stream');
    const stream = new Writable({
      decodeStrings: true,
      write(chunk, _encoding, done) {
        send('T', chunk);
        done();
      },
    });
    stream.fd = fd;
    stream._type = 'pipe';
    stream.isTTY = false;
    return stream;
  };
  for (const [name, fd] of [['stdout', 1], ['stderr', 2]]) {
    let stream;
    Object.defineProperty(process, name, {
      configurable: true,
      enumerable: true,
      get: () => (stream ??= make(fd)),
      set: (value) => (stream = value),
    });
  }
}

// ---------------------------------------------------------------- finding the handler

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');

class HttpResponseStream {
  static from(stream, prelude) {
    stream.setContentType('application/vnd.awslambda.http-integration-response');
    const metadata = JSON.stringify(prelude);
    stream._onBeforeFirstWrite = (write) => {
      write(metadata);
      write(new Uint8Array(8)); // the end of the metadata: eight zero bytes
    };
    return stream;
  }
}

function offerStreaming() {
  const off = process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA;
  if (off === '1' || off === 'true') return;
  globalThis.awslambda = {
    streamifyResponse(handler, options) {
      handler[STREAMING] = 'response';
      if (typeof options?.highWaterMark === 'number') handler[HIGH_WATER_MARK] = parseInt(options.highWaterMark);
      return handler;
    },
    HttpResponseStream,
  };
}

/** Does the nearest package.json make `.js` files ES modules? */
function inModulePackage(file) {
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    if (folder.endsWith('/node_modules')) return false;
    const description = path.join(folder, 'package.json');
    if (fs.existsSync(description)) {
      try {
        return JSON.parse(fs.readFileSync(description, 'utf8'))?.type === 'module';
      } catch (error) {
        console.warn(`${description} cannot be read, it will be ignored for ES module detection purposes.`, error);
        return false;
      }
    }
    if (folder === '/') return false;
  }
}

async function loadModule(root, folder, name) {
  const base = path.resolve(root, folder, name);
  const exists = (file) => fs.existsSync(file) && fs.statSync(file).isFile();
  if (exists(base)) return require(base);
  if (exists(base + '.js')) {
    if (!inModulePackage(base + '.js')) return require(base + '.js');
    return import(base + '.js');
  }
  if (exists(base + '.mjs')) return import(base + '.mjs');
  if (exists(base + '.cjs')) return require(base + '.cjs');
  return require(require.resolve(name, { paths: [root, path.resolve(root, folder)] }));
}

async function findHandler(root, wanted) {
  if (wanted.includes('..')) {
    throw new RuntimeError(
      'MalformedHandlerName',
      `'${wanted}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const file = path.basename(wanted);
  const folder = wanted.substring(0, wanted.indexOf(file));
  const dot = file.indexOf('.');
  if (dot < 0) throw new RuntimeError('MalformedHandlerName', 'Bad handler');
  let app;
  try {
    app = await loadModule(root, folder, file.slice(0, dot));
  } catch (error) {
    if (error instanceof SyntaxError) throw new RuntimeError('UserCodeSyntaxError', error);
    if (error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND') {
      throw new RuntimeError('ImportModuleError', error);
    }
    throw error;
  }
  const handler = file.slice(dot + 1).split('.').reduce((found, name) => found && found[name], app);
  if (!handler) throw new RuntimeError('HandlerNotFound', `${wanted} is undefined or not exported`);
  if (typeof handler !== 'function') throw new RuntimeError('HandlerNotFound', `${wanted} is not a function`);
  if (handler[STREAMING] && handler[STREAMING] !== 'response') {
    throw new RuntimeError('MalformedStreamingHandler', 'Only response streaming is supported.');
  }
  return handler;
}

// ---------------------------------------------------------------- one invocation

let whenIdle = () => {}; // runs when the event loop is empty
let current = 0; // counts invocations: what comes late from an old one is ignored
let open = false; // the current invocation has no answer yet

function answerResult(invocation, result) {
  if (invocation !== current || !open) return;
  let text;
  try {
    text = JSON.stringify(result === undefined ? null : result) ?? 'null';
  } catch (error) {
    answerError(invocation, new RuntimeError('MarshalError', `Unable to stringify response body: ${error.message}`), true);
    return;
  }
  open = false;
  send('O', text);
  setImmediate(next);
}

function answerError(invocation, error, silent) {
  if (invocation !== current || !open) return;
  open = false;
  if (!silent) logError('Invoke Error', error);
  send('E', JSON.stringify(errorPayload(error)));
  setImmediate(next);
}

function parseHeader(text, name) {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot parse ${name} as json: ${error.toString()}`);
  }
}

function fillContext(context, header) {
  const environment = process.env;
  context.functionVersion = environment.AWS_LAMBDA_FUNCTION_VERSION;
  context.functionName = environment.AWS_LAMBDA_FUNCTION_NAME;
  context.memoryLimitInMB = environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE;
  context.logGroupName = environment.AWS_LAMBDA_LOG_GROUP_NAME;
  context.logStreamName = environment.AWS_LAMBDA_LOG_STREAM_NAME;
  context.clientContext = parseHeader(header.client, 'ClientContext');
  context.identity = parseHeader(header.identity, 'CognitoIdentity');
  context.invokedFunctionArn = header.arn;
  context.awsRequestId = header.id;
  context.getRemainingTimeInMillis = () => header.deadline - Date.now();
  return context;
}

/** The callback, and the context's `done`, `succeed`, `fail`: the first call counts. */
function callbacks(invocation) {
  let waits = true;
  let finished = false;
  const once = (action) => (...parameters) => {
    if (finished) return;
    finished = true;
    action(...parameters);
  };
  const failed = (error) => error !== undefined && error !== null;
  const done = (error, result) => {
    whenIdle = () => {};
    if (failed(error)) answerError(invocation, error);
    else answerResult(invocation, result);
  };
  const context = {
    get callbackWaitsForEmptyEventLoop() {
      return waits;
    },
    set callbackWaitsForEmptyEventLoop(value) {
      waits = value;
    },
    succeed: once((result) => done(null, result)),
    fail: once((error) => done(failed(error) ? error : 'handled')),
    done: once(done),
  };
  const callback = once((error, result) => {
    if (failed(error) || !waits) done(error, result);
    else whenIdle = () => setImmediate(() => done(null, result));
  });
  return { callback, context };
}

function invokeBuffered(handler, event, header, invocation) {
  const modern = settings.major >= 24;
  const { callback, context } = modern ? { context: {} } : callbacks(invocation);
  const isAsync = handler.constructor?.name === 'AsyncFunction';
  whenIdle = () => {
    // Nothing is left that could ever answer.
    if (isAsync || modern) answerError(invocation, new RuntimeError('NodeJsExit', NEVER_SETTLED));
    else answerResult(invocation, null);
  };
  const succeed = (result) => {
    whenIdle = () => {};
    answerResult(invocation, result);
  };
  const fail = (error) => {
    whenIdle = () => {};
    answerError(invocation, error === undefined || error === null ? 'handled' : error);
  };
  try {
    fillContext(context, header);
    const result = modern ? handler(event, context) : handler(event, context, callback);
    if (typeof result?.then === 'function') {
      result.then(context.succeed ?? succeed, context.fail ?? fail);
    } else if (modern) {
      succeed(result);
    }
  } catch (error) {
    fail(error);
  }
}

// ---------------------------------------------------------------- streaming responses

function responseStream() {
  const { Writable } = require('stream');
  let contentType = 'application/octet-stream';
  let started = false;
  const begin = () => {
    if (started) return;
    started = true;
    send('S', JSON.stringify({ contentType }));
    stream._onBeforeFirstWrite?.((chunk) => send('C', Buffer.from(chunk)));
  };
  const stream = new Writable({
    highWaterMark: handlerMark,
    write(chunk, _encoding, done) {
      begin();
      send('C', chunk);
      done();
    },
    final(done) {
      begin();
      done();
    },
  });
  const write = stream.write.bind(stream);
  stream.write = (chunk, ...more) => {
    const plain = typeof chunk === 'string' || Buffer.isBuffer(chunk) || chunk?.constructor === Uint8Array;
    return write(plain ? chunk : JSON.stringify(chunk), ...more);
  };
  stream.setContentType = (type) => {
    if (started) {
      throw new RuntimeError('InvalidStreamingOperation', 'Cannot set content-type, too late.');
    }
    contentType = type;
  };
  return { stream, begin };
}

let handlerMark;

async function invokeStreaming(handler, event, header, invocation) {
  const { stream, begin } = responseStream();
  let waits = true;
  const context = {
    get callbackWaitsForEmptyEventLoop() {
      return waits;
    },
    set callbackWaitsForEmptyEventLoop(value) {
      waits = value;
    },
  };
  const end = (error) => {
    if (invocation !== current || !open) return;
    open = false;
    begin();
    if (error !== undefined) logError('Invoke Error', error);
    send('X', error === undefined ? '' : JSON.stringify(errorPayload(error)));
    if (waits) whenIdle = () => setImmediate(next);
    else setImmediate(next);
  };
  whenIdle = () => end(new RuntimeError('NodeJsExit', NEVER_SETTLED));
  try {
    const result = handler(event, stream, fillContext(context, header));
    if (typeof result?.then !== 'function') {
      end('Streaming does not support non-async handlers.');
      return;
    }
    if ((await result) !== undefined) console.warn('Streaming handlers ignore return values.');
    if (!stream.writableEnded) {
      end('Response stream is not finished.');
      return;
    }
    if (!stream.writableFinished) await new Promise((resolve) => stream.once('finish', resolve));
    end();
  } catch (error) {
    end(error);
  }
}

// ---------------------------------------------------------------- life

let settings;
let handler;

function next() {
  const { body } = receive();
  const start = 4 + body.readUInt32LE(0);
  const header = JSON.parse(body.toString('utf8', 4, start));
  const invocation = ++current;
  open = true;
  requestId = header.id;
  globalThis[Symbol.for('aws.lambda.runtime.requestId')] = header.id;
  if (header.trace) process.env._X_AMZN_TRACE_ID = header.trace;
  else delete process.env._X_AMZN_TRACE_ID;
  let event;
  try {
    event = JSON.parse(body.toString('utf8', start));
  } catch (error) {
    answerError(invocation, error);
    return;
  }
  if (handler[STREAMING]) invokeStreaming(handler, event, header, invocation);
  else invokeBuffered(handler, event, header, invocation);
}

function crash(error, code) {
  if (handler && open) send('E', JSON.stringify(errorPayload(error)));
  else if (!handler) send('F', JSON.stringify(errorPayload(error)));
  process.exit(code);
}

function catchAll() {
  process.on('uncaughtException', (error) => {
    logError('Uncaught Exception', error);
    crash(error, 129);
  });
  process.on('unhandledRejection', (reason, promise) => {
    const error = new UnhandledPromiseRejection(reason, promise);
    logError('Unhandled Promise Rejection', error);
    crash(error, 128);
  });
  process.on('beforeExit', () => whenIdle());
}

function takeSettings() {
  settings = JSON.parse(receive().body.toString('utf8'));
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, settings.env);
  legacy = settings.major > 0 && settings.major < 10;
  require('module').Module._initPaths(); // NODE_PATH
  if (settings.heapMb) require('v8').setFlagsFromString(`--max-old-space-size=${settings.heapMb}`);
  process.chdir(process.env.LAMBDA_TASK_ROOT);
  process.argv.length = 1;
}

// Version 2 of the SDK does not know AWS_ENDPOINT_URL: its requests would leave for AWS.
function leadOldSdkHere() {
  const endpoint = process.env.AWS_ENDPOINT_URL;
  if (!endpoint) return;
  const Module = require('module');
  const load = Module._load;
  Module._load = function (request, ...rest) {
    const loaded = load.call(this, request, ...rest);
    const has = (name) => Object.prototype.hasOwnProperty.call(loaded, name);
    if (/(^aws-sdk|[/]core)$/.test(request) && loaded && has('Service') && has('Config') && has('config')) {
      if (!loaded.config.endpoint) loaded.config.update({ endpoint, s3ForcePathStyle: true });
    }
    return loaded;
  };
}

async function start() {
  takeSettings();
  leadOldSdkHere();
  patchConsole();
  patchStreams();
  catchAll();
  offerStreaming();
  const found = await findHandler(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER);
  if (settings.major >= 24 && !found[STREAMING] && found.length >= 3) {
    throw new RuntimeError('CallbackHandlerDeprecated', NO_CALLBACKS);
  }
  handler = found;
  handlerMark = found[HIGH_WATER_MARK] || undefined;
  send('R', '{}');
  setImmediate(next);
}

start().catch((error) => {
  logError('Uncaught Exception', error);
  crash(error, 129);
});
