import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { coordinatorRecord, siteRecord } from '../../cli/observe/log-records.js';
import { coordinatorMetrics, siteMetrics } from '../../cli/observe/metrics.js';
import { serveMetrics } from '../../cli/observe/metrics-server.js';
import { coordinatorTracing, siteTracing, studyTrace } from '../../cli/observe/tracing.js';
import { smallStudy } from '../e2e/support.js';
import { Composed, until } from '../security/composed.js';

/** Everything that is observed is derived from the events of one real study: real service, real agents, one process. */
let world: Composed;
let study: string;

beforeAll(async () => {
  world = new Composed(['alder', 'birch', 'cedar', 'dogwood']);
  await world.start();
  study = world.propose(smallStudy('observed'));
  await until(
    () => world.phase(study) === 'published',
    () => world.reason(study),
  );
}, 60_000);
afterAll(() => world?.close());

async function samples(registry: { metrics(): Promise<string> }): Promise<Map<string, number>> {
  const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

describe('metrics', () => {
  it('of the coordinator count what the events say', async () => {
    let nowMs = 0;
    const metrics = coordinatorMetrics(world.root, () => nowMs);
    for (const event of world.progress) {
      nowMs += 100;
      metrics.observe(event);
    }
    metrics.stored('alder', 1000);
    const read = await samples(metrics.registry);
    expect(read.get('concordat_studies{phase="published"}')).toBe(1);
    expect(read.get('concordat_studies{phase="running"}')).toBe(0);
    expect(read.get('concordat_site_connected{site="alder"}')).toBe(1);
    expect(read.get('concordat_uploaded_bytes_total{site="alder"}')).toBe(1000);
    const rounds = world.progress.filter((event) => event.kind === 'round');
    const sum = (name: string) =>
      [...read].filter(([key]) => key.startsWith(name)).reduce((total, [, value]) => total + value, 0);
    expect(rounds.length).toBeGreaterThan(5);
    expect(sum('concordat_rounds_total')).toBe(rounds.length);
    expect(sum('concordat_round_duration_seconds_count')).toBe(rounds.length);
    expect(read.get('concordat_disk_free_bytes')).toBeGreaterThan(0);
  });

  it('measure durations by a clock that nobody sets: none is negative after the wall clock was set back', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 10, 21) });
    try {
      const metrics = coordinatorMetrics(world.root);
      const own = siteMetrics(world.root, () => []);
      for (const event of world.progress) {
        vi.setSystemTime(Date.now() - 3_600_000);
        metrics.observe(event);
      }
      for (const event of world.site('alder').progress) {
        vi.setSystemTime(Date.now() - 3_600_000);
        own.observe(event);
      }
      const sums = [...(await samples(metrics.registry)), ...(await samples(own.registry))].filter(([key]) =>
        key.includes('_duration_seconds_sum'),
      );
      expect(sums.length).toBeGreaterThan(5);
      expect(sums.filter(([, seconds]) => seconds < 0 || seconds > 60)).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });

  it.each(['', 'null', '{}', '{"bytes":"7"}'])('do not take for a ledger what is none: %s', async (line) => {
    const metrics = siteMetrics(world.root, () => [line]);
    await expect(metrics.registry.metrics()).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
  });

  it('of a site count contributions and what the ledger says has left', async () => {
    const { progress, store } = world.site('alder');
    const metrics = siteMetrics(world.root, () => store.ledger());
    for (const event of progress) metrics.observe(event);
    const read = await samples(metrics.registry);
    const uploads = progress.filter((event) => event.kind === 'round' && event.what === 'uploaded').length;
    const sum = (name: string) =>
      [...read].filter(([key]) => key.startsWith(name)).reduce((total, [, value]) => total + value, 0);
    expect(uploads).toBeGreaterThan(5);
    expect(sum('concordat_contributions_total')).toBe(uploads);
    const bytes = store.ledger().reduce((total, line) => total + (JSON.parse(line) as { bytes: number }).bytes, 0);
    expect(bytes).toBeGreaterThan(0);
    expect(read.get('concordat_egress_bytes')).toBe(bytes);
    expect(read.get('concordat_egress_entries')).toBe(store.ledger().length);
    expect(read.get('concordat_coordinator_connected')).toBe(1);
  });

  it('are served on one path and nothing else is', async () => {
    const { registry } = coordinatorMetrics(world.root, () => 0);
    const server = await serveMetrics(registry, '127.0.0.1', 0);
    const base = `http://127.0.0.1:${server.port}`;
    const answer = await fetch(`${base}/metrics`);
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(await answer.text()).toContain('concordat_build_info{role="coordinator"');
    expect((await fetch(`${base}/`)).status).toBe(404);
    expect((await fetch(`${base}/metrics`, { method: 'POST' })).status).toBe(404);
    await expect(serveMetrics(registry, '127.0.0.1', server.port)).rejects.toMatchObject({ code: 'WIRE_PORT_IN_USE' });
    await server.close();
  });
});

describe('traces', () => {
  it('of coordinator and sites meet in the trace of the study', async () => {
    const [central, local] = [new InMemorySpanExporter(), new InMemorySpanExporter()];
    const coordinator = coordinatorTracing(new SimpleSpanProcessor(central));
    const site = siteTracing('alder', new SimpleSpanProcessor(local));
    for (const event of world.progress) coordinator.observe(event);
    for (const event of world.site('alder').progress) site.observe(event);
    const spans = [...central.getFinishedSpans(), ...local.getFinishedSpans()];
    await coordinator.close();
    await site.close();
    const { traceId, spanId } = studyTrace(study);
    expect(new Set(spans.map((span) => span.spanContext().traceId))).toEqual(new Set([traceId]));
    const of = (start: string) => spans.filter((span) => span.name.startsWith(start));
    expect(of('study').map((span) => span.spanContext().spanId)).toEqual([spanId]);
    const rounds = world.progress.filter((event) => event.kind === 'round').length;
    expect(of('round ')).toHaveLength(rounds);
    for (const span of [...of('round '), ...of('contribution ')]) expect(span.parentSpanContext?.spanId).toBe(spanId);
    // Three exchanges a round at least; each inside its round.
    const ids = new Set(of('round ').map((span) => span.spanContext().spanId));
    expect(of('exchange ').length).toBeGreaterThanOrEqual(2 * rounds);
    for (const span of of('exchange ')) expect(ids).toContain(span.parentSpanContext?.spanId);
  });
});

describe('log records', () => {
  it('name every event, and carry what an operator searches by', () => {
    const central = world.progress.map(coordinatorRecord);
    const local = world.site('alder').progress.map(siteRecord);
    for (const { event, fields } of [...central, ...local]) {
      expect(event).toMatch(/^[a-z]+(\.[a-zA-Z]+)?$/);
      expect(Object.values(fields)).not.toContain(undefined);
    }
    expect(central.map(({ event }) => event)).toEqual(
      expect.arrayContaining(['site.connected', 'study.phase', 'round.opened', 'exchange.opened', 'bundle.published']),
    );
    expect(local.map(({ event }) => event)).toEqual(
      expect.arrayContaining(['coordinator.connected', 'study.state', 'contribution.joined', 'contribution.uploaded']),
    );
    expect(coordinatorRecord({ kind: 'phase', studyHash: study, phase: 'failed', reason: 'x' }).level).toBe('error');
  });

  it('hold no number of patients and no value of a table', () => {
    const text = JSON.stringify([world.progress.map(coordinatorRecord), world.site('alder').progress.map(siteRecord)]);
    expect(text).not.toMatch(/alder-\d/);
    expect(text).not.toMatch(/patients|"n":|events"/);
  });
});
