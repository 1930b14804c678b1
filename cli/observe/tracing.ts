import { createHash } from 'node:crypto';
import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  type IdGenerator,
  RandomIdGenerator,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { PROGRAM_VERSION } from '../version.js';
import type { CoordinatorEvent, SiteEvent } from './log-records.js';

/**
 * Trace of a study. Both ids are derived from the study's hash, so the spans of coordinator and sites meet in one trace
 * without a field for it in any message.
 */
export function studyTrace(studyHash: string): { readonly traceId: string; readonly spanId: string } {
  const digest = createHash('sha256').update(`concordat trace ${studyHash}`).digest('hex');
  return { traceId: digest.slice(0, 32), spanId: digest.slice(32, 48) };
}

function studyContext(studyHash: string): Context {
  return trace.setSpanContext(ROOT_CONTEXT, {
    ...studyTrace(studyHash),
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
  });
}

/** Random ids, but for the one span that stands for a study. */
class StudyIds implements IdGenerator {
  private readonly random = new RandomIdGenerator();
  next: { readonly traceId: string; readonly spanId: string } | null = null;
  generateTraceId = (): string => this.next?.traceId ?? this.random.generateTraceId();
  generateSpanId = (): string => this.next?.spanId ?? this.random.generateSpanId();
}

export interface Tracing<Event> {
  observe(event: Event): void;
  /** Ends open spans and sends what is left. */
  close(): Promise<void>;
}

function provider(
  role: string,
  name: string,
  processor: SpanProcessor,
): { tracer: Tracer; ids: StudyIds; provider: BasicTracerProvider } {
  const ids = new StudyIds();
  const made = new BasicTracerProvider({
    idGenerator: ids,
    resource: resourceFromAttributes({
      'service.name': `concordat-${role}`,
      'service.instance.id': name,
      'service.version': PROGRAM_VERSION,
    }),
    spanProcessors: [processor],
  });
  return { tracer: made.getTracer('concordat', PROGRAM_VERSION), ids, provider: made };
}

/** Spans study > round > exchange, from the coordinator's progress events. A restart begins the study's span anew. */
export function coordinatorTracing(processor: SpanProcessor): Tracing<CoordinatorEvent> {
  const { tracer, ids, provider: owner } = provider('coordinator', 'coordinator', processor);
  const studies = new Map<string, Span>();
  const rounds = new Map<string, Span>();
  const exchanges = new Map<string, Span>();
  const end = (spans: Map<string, Span>, study: string) => {
    spans.get(study)?.end();
    spans.delete(study);
  };
  const endRound = (study: string) => {
    end(exchanges, study);
    end(rounds, study);
  };
  const begin = (studyHash: string) => {
    if (studies.has(studyHash)) return;
    ids.next = studyTrace(studyHash);
    studies.set(
      studyHash,
      tracer.startSpan('study', { root: true, attributes: { 'concordat.study': studyHash } }, ROOT_CONTEXT),
    );
    ids.next = null;
  };
  return {
    observe(event) {
      switch (event.kind) {
        case 'phase': {
          begin(event.studyHash);
          studies.get(event.studyHash)!.addEvent(event.phase);
          if (event.phase === 'running') return;
          endRound(event.studyHash);
          if (!['published', 'failed', 'declined', 'withdrawn'].includes(event.phase)) return;
          if (event.phase === 'failed')
            studies.get(event.studyHash)!.setStatus({ code: SpanStatusCode.ERROR, message: event.reason });
          return end(studies, event.studyHash);
        }
        case 'round': {
          begin(event.studyHash);
          endRound(event.studyHash);
          const { computation, round, iteration } = event;
          const attributes = {
            'concordat.computation': computation,
            'concordat.round': round,
            'concordat.iteration': iteration,
          };
          rounds.set(
            event.studyHash,
            tracer.startSpan(`round ${computation}`, { attributes }, studyContext(event.studyHash)),
          );
          return;
        }
        case 'round-report': {
          const { report, studyHash } = event;
          const round = rounds.get(studyHash);
          if (round === undefined) return;
          if (report.kind === 'exchange') {
            end(exchanges, studyHash);
            const attributes = { 'concordat.round': report.round, 'concordat.attempt': report.attempt };
            exchanges.set(
              studyHash,
              tracer.startSpan(`exchange ${report.exchange}`, { attributes }, trace.setSpan(ROOT_CONTEXT, round)),
            );
          } else if (report.kind === 'refused')
            round.addEvent('refused', { 'concordat.site': report.site, 'concordat.code': report.code });
          else if (report.kind === 'aborted') round.addEvent('attempt aborted', { 'concordat.reason': report.reason });
          else if (report.kind === 'missing') round.addEvent('missing', { 'concordat.sites': [...report.sites] });
          return;
        }
        default:
          return;
      }
    },
    async close() {
      for (const study of [...rounds.keys()]) endRound(study);
      for (const study of [...studies.keys()]) end(studies, study);
      await owner.shutdown();
    },
  };
}

/** One span a contribution at the site, inside the study's trace. */
export function siteTracing(site: string, processor: SpanProcessor): Tracing<SiteEvent> {
  const { tracer, provider: owner } = provider('site', site, processor);
  const open = new Map<string, Span>();
  return {
    observe(event) {
      if (event.kind !== 'round') return;
      open.get(event.studyHash)?.end();
      open.delete(event.studyHash);
      if (event.what !== 'joined') return;
      const attributes = {
        'concordat.site': site,
        'concordat.computation': event.computation,
        'concordat.round': event.round,
      };
      open.set(
        event.studyHash,
        tracer.startSpan(`contribution ${event.computation}`, { attributes }, studyContext(event.studyHash)),
      );
    },
    async close() {
      for (const span of open.values()) span.end();
      await owner.shutdown();
    },
  };
}
