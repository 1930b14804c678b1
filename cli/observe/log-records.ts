import type { ServicePorts } from '../../coordinator/service.js';
import type { AgentProgress } from '../../site-agent/agent.js';

export type CoordinatorEvent = Parameters<ServicePorts['progress']>[0];
export type SiteEvent = AgentProgress;

export type Level = 'debug' | 'info' | 'warn' | 'error';

/** One line of a structured log: what happened, and fields to search by. Never a value, an id or a count of patients. */
export interface LogRecord {
  readonly level: Level;
  /** Stable name of the kind of event, e.g. `round.opened`. */
  readonly event: string;
  readonly fields: Readonly<Record<string, string | number | readonly string[]>>;
}

/** What the coordinator's log says of an event; fields are named as in the protocol. */
export function coordinatorRecord(message: CoordinatorEvent): LogRecord {
  switch (message.kind) {
    case 'site':
      return {
        level: 'info',
        event: message.connected ? 'site.connected' : 'site.disconnected',
        fields: { site: message.site },
      };
    case 'phase':
      return {
        level: message.phase === 'failed' ? 'error' : 'info',
        event: 'study.phase',
        fields: {
          study: message.studyHash,
          phase: message.phase,
          ...(message.reason === '' ? {} : { reason: message.reason }),
        },
      };
    case 'round': {
      const { studyHash: study, computation, round, iteration } = message;
      return { level: 'info', event: 'round.opened', fields: { study, computation, round, iteration } };
    }
    case 'round-report':
      return roundRecord(message.studyHash, message.report);
    case 'refused':
      return {
        level: 'warn',
        event: 'message.refused',
        fields: { what: message.what, code: message.code, message: message.message },
      };
    case 'published':
      return { level: 'info', event: 'bundle.published', fields: { study: message.studyHash, folder: message.folder } };
    case 'collected':
      return { level: 'info', event: 'blobs.collected', fields: { blobs: message.blobs } };
  }
}

function roundRecord(study: string, report: Extract<CoordinatorEvent, { kind: 'round-report' }>['report']): LogRecord {
  switch (report.kind) {
    case 'exchange': {
      const { exchange, round, attempt } = report;
      return { level: 'debug', event: 'exchange.opened', fields: { study, exchange, round, attempt } };
    }
    case 'missing':
      return {
        level: 'warn',
        event: 'exchange.missing',
        fields: { study, exchange: report.exchange, sites: report.sites },
      };
    case 'aborted':
      return { level: 'warn', event: 'attempt.aborted', fields: { study, reason: report.reason, sites: report.sites } };
    case 'refused':
      return {
        level: 'warn',
        event: 'site.refused',
        fields: { study, site: report.site, code: report.code, about: report.about },
      };
    case 'damaged':
      return { level: 'error', event: 'input.damaged', fields: { study, site: report.site, code: report.code } };
    case 'ignored':
      return {
        level: 'debug',
        event: 'message.ignored',
        fields: { study, site: report.site, what: report.what, ...(report.code === null ? {} : { code: report.code }) },
      };
  }
}

/** What a site's own log says of an event. It stays at the site unless its administrator sends it elsewhere. */
export function siteRecord(event: SiteEvent): LogRecord {
  switch (event.kind) {
    case 'connected':
      return { level: 'info', event: 'coordinator.connected', fields: {} };
    case 'disconnected':
      return { level: 'warn', event: 'coordinator.disconnected', fields: { code: event.code, message: event.message } };
    case 'study':
      return {
        level: 'info',
        event: 'study.state',
        fields: {
          study: event.studyHash,
          name: event.name,
          state: event.state,
          ...(event.detail === '' ? {} : { detail: event.detail }),
        },
      };
    case 'round':
      return {
        level: 'info',
        event: `contribution.${event.what}`,
        fields: { study: event.studyHash, computation: event.computation, round: event.round },
      };
    case 'problem':
      return { level: 'error', event: 'problem', fields: { code: event.code, message: event.message } };
  }
}
