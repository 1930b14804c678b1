import { createServer } from 'node:http';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DemoProcess } from '../../cli/demo/processes.js';
import { FOUR_SITES, smallStudy, TestFederation } from './support.js';

/** A coordinator that is watched: metrics over HTTP, traces to a collector, and a log for machines. */
let federation: TestFederation;
const spans: { name: string; traceId: string }[] = [];
const collector = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    type Body = { resourceSpans: { scopeSpans: { spans: { name: string; traceId: string }[] }[] }[] };
    const body = JSON.parse(Buffer.concat(parts).toString('utf8')) as Body;
    spans.push(...body.resourceSpans.flatMap((each) => each.scopeSpans.flatMap((scope) => scope.spans)));
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
});

beforeAll(async () => {
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  federation = await TestFederation.start(FOUR_SITES);
}, 120_000);
afterAll(async () => {
  await federation?.stop();
  collector.close();
});

it('shows metrics and traces of a study while it runs, and writes one JSON object a line', async () => {
  await federation.coordinator.stop();
  const { port } = collector.address() as { port: number };
  const start = ['coordinator', 'start', '--dir', federation.coordinatorFolder, '--host', '127.0.0.1'];
  const watched = new DemoProcess(
    'watched',
    [...start, '--port', String(federation.port), '--metrics', '0', '--traces', `http://127.0.0.1:${port}`],
    path.join(federation.folder, 'logs'),
  );
  watched.start();
  const url = /http:\S+/.exec(await federation.line(watched, /^metrics at /))![0];
  await federation.propose(smallStudy('watched'));
  await federation.line(watched, /^published in /);
  const text = await (await fetch(url)).text();
  expect(text).toMatch(/^concordat_studies\{phase="published"\} 1$/m);
  expect(text).toMatch(/^concordat_uploaded_bytes_total\{site="alder"\} [1-9]\d+$/m);
  expect(text).toMatch(/^concordat_site_connected\{site="dogwood"\} 1$/m);
  expect(text).toMatch(/^process_resident_memory_bytes [1-9]/m);
  await watched.stop();
  expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
  expect(spans.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['study', 'round describe', 'exchange maskedInput', 'exchange unmask']),
  );

  const machine = new DemoProcess(
    'machine',
    [...start, '--port', '0', '--log', 'json', '--metrics', '127.0.0.1:0'],
    path.join(federation.folder, 'logs'),
  );
  machine.start();
  await federation.line(machine, /"coordinator.listening"/);
  await machine.stop();
  const records = machine.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const record of records)
    expect(record).toMatchObject({
      role: 'coordinator',
      level: expect.any(String),
      time: expect.any(String),
      event: expect.any(String),
    });
  // A start also tells that it deleted uploads that nothing names, where the run before left some.
  const events = records.map((record) => record['event']).filter((event) => event !== 'blobs.collected');
  expect(events).toEqual(['metrics.listening', 'coordinator.listening']);
}, 120_000);
