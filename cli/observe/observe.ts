import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { PROGRAM_VERSION } from '../version.js';
import type { LogRecord } from './log-records.js';
import type { Metrics } from './metrics.js';
import type { Tracing } from './tracing.js';

/** How a running coordinator or agent may be watched; all of it off unless asked for. */
export interface ObservationOptions {
  readonly log: 'text' | 'json';
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  readonly metrics?: { readonly host: string; readonly port: number };
  readonly traces?: string;
}

export function withObservation(command: Command): Command {
  return command
    .addOption(
      new Option('--log <format>', 'progress on stderr: lines for people, or one JSON object a line')
        .choices(['text', 'json'])
        .default('text'),
    )
    .addOption(
      new Option('--log-level <level>', 'least level of a JSON log')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('info'),
    )
    .addOption(
      new Option(
        '--metrics <address>',
        'serve Prometheus metrics at http://[HOST:]PORT/metrics (host: 127.0.0.1)',
      ).argParser(parseAddress),
    )
    .addOption(
      new Option(
        '--traces <url>',
        'send OpenTelemetry traces there (OTLP over HTTP, e.g. http://127.0.0.1:4318)',
      ).argParser(parseUrl),
    );
}

function parseAddress(text: string): { host: string; port: number } {
  const match = /^(?:(.+):)?(\d+)$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65535) throw new InvalidArgumentError('an address is PORT or HOST:PORT.');
  return { host: (match[1] ?? '127.0.0.1').replace(/^\[(.*)\]$/, '$1'), port };
}

function parseUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:/.test(text))
    throw new InvalidArgumentError('a URL begins with http:// or https://.');
  return text.replace(/\/$/, '');
}

export interface Observer<Event> {
  observe(event: Event): void;
  /** Something of the process itself, as a line for people or as a record of the JSON log. */
  note(text: string, record: LogRecord): void;
  close(): Promise<void>;
}

/**
 * Puts log, metrics and traces behind one function that takes the process's progress events. The libraries are loaded
 * only for what was asked for. Throws WIRE_PORT_IN_USE where the metrics' port is taken.
 */
export async function startObserver<Event>(
  options: ObservationOptions,
  parts: {
    readonly role: 'coordinator' | 'site';
    readonly name: string;
    readonly text: (event: Event) => void;
    readonly record: (event: Event) => LogRecord;
    readonly metrics: Metrics<Event> | null;
    readonly tracing: (processor: import('@opentelemetry/sdk-trace-base').SpanProcessor) => Promise<Tracing<Event>>;
    readonly say: (line: string) => void;
  },
): Promise<Observer<Event>> {
  const write = options.log === 'json' ? await jsonLog(options, parts) : null;
  const note = (text: string, record: LogRecord) => (write === null ? parts.say(text) : write(record));
  const sinks: ((event: Event) => void)[] = [
    write === null ? parts.text : (event: Event) => write(parts.record(event)),
  ];
  const closers: (() => Promise<void>)[] = [];
  const { metrics } = parts;
  if (options.metrics !== undefined && metrics !== null) {
    const { serveMetrics } = await import('./metrics-server.js');
    const { host } = options.metrics;
    const server = await serveMetrics(metrics.registry, host, options.metrics.port);
    const url = `http://${host.includes(':') ? `[${host}]` : host}:${server.port}/metrics`;
    note(`metrics at ${url}`, { level: 'info', event: 'metrics.listening', fields: { url } });
    sinks.push((event) => metrics.observe(event));
    closers.push(() => server.close());
  }
  if (options.traces !== undefined) {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
    const { BatchSpanProcessor } = await import('@opentelemetry/sdk-trace-base');
    const exporter = new OTLPTraceExporter({ url: `${options.traces}/v1/traces`, timeoutMillis: 5_000 });
    const tracing = await parts.tracing(new BatchSpanProcessor(exporter, { scheduledDelayMillis: 1_000 }));
    sinks.push((event) => tracing.observe(event));
    // A collector that does not answer keeps no process from ending.
    closers.push(() =>
      Promise.race([tracing.close().catch(() => undefined), new Promise<void>((go) => setTimeout(go, 3_000).unref())]),
    );
  }
  return {
    note,
    observe: (event) => {
      for (const sink of sinks) sink(event);
    },
    close: async () => {
      for (const close of closers) await close();
    },
  };
}

async function jsonLog(
  options: ObservationOptions,
  parts: { readonly role: string; readonly name: string },
): Promise<(record: LogRecord) => void> {
  const { pino } = await import('pino');
  const logger = pino(
    {
      level: options.logLevel,
      base: { role: parts.role, ...(parts.role === 'site' ? { site: parts.name } : {}), version: PROGRAM_VERSION },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    // Synchronous, so that the last line before a crash is there.
    pino.destination({ dest: 2, sync: true }),
  );
  return ({ level, event, fields }) => logger[level]({ event, ...fields });
}
