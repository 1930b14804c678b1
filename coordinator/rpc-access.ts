import type { Http2SecureServer } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type grpc from '@grpc/grpc-js';
import { ConcordatError } from '../shared/errors.js';
import type { Roster } from '../shared/roster.js';
import { addressOf } from './rpc-door.js';
import { certificateFingerprint } from './tls.js';

/** The part of a gRPC call that says who is calling. */
type Call = Pick<grpc.ServerUnaryCall<unknown, unknown>, 'getAuthContext' | 'getPeer'>;

/**
 * Who is calling: the site whose certificate the roster names. TLS has proven possession of the key and, where the
 * authority signed the certificate, filled the call's auth context; the roster decides the rest, anew for every call.
 */
export class Access {
  /** Why TLS did not vouch for a connection, by remote address and port; gRPC itself does not say. */
  private readonly refusals = new Map<string, string>();

  constructor(
    private readonly roster: () => Roster | null,
    private readonly nowMs: () => number,
    private readonly refused: (address: string, error: ConcordatError) => void = () => undefined,
  ) {}

  watch(server: Http2SecureServer): void {
    server.on('secureConnection', (socket: TLSSocket) => {
      if (socket.authorized || socket.remoteAddress === undefined) return;
      const peer = `${socket.remoteAddress}:${socket.remotePort}`;
      this.refusals.set(peer, String(socket.authorizationError ?? ''));
      socket.once('close', () => this.refusals.delete(peer));
    });
  }

  /** The active site that is calling. Throws ENROLL_CERTIFICATE_*, SITE_NOT_IN_ROSTER or SITE_REVOKED. */
  site(call: Call): string {
    try {
      return this.identify(call);
    } catch (error) {
      if (error instanceof ConcordatError) this.refused(addressOf(call), error);
      throw error;
    }
  }

  private identify(call: Call): string {
    const certificate = call.getAuthContext().sslPeerCertificate;
    if (certificate === undefined) throw this.refusal(this.refusals.get(call.getPeer()) ?? '');
    const now = this.nowMs();
    if (now >= Date.parse(certificate.valid_to) || now < Date.parse(certificate.valid_from))
      throw new ConcordatError('ENROLL_CERTIFICATE_EXPIRED', `the certificate was valid until ${certificate.valid_to}`);
    const fingerprint = certificateFingerprint(certificate.raw);
    const members = this.roster()?.sites ?? [];
    const member = members.find((entry) => entry.tlsFingerprint === fingerprint);
    if (member?.status === 'active') return member.site;
    const name = String(certificate.subject.CN);
    if (member !== undefined) throw new ConcordatError('SITE_REVOKED', `site "${member.site}" was revoked`);
    if (members.some((entry) => entry.site === name))
      throw new ConcordatError('ENROLL_CERTIFICATE_UNKNOWN', `the roster names another certificate for site "${name}"`);
    throw new ConcordatError('SITE_NOT_IN_ROSTER', `site "${name}" is not in the roster yet`);
  }

  private refusal(reason: string): ConcordatError {
    if (/EXPIRED|NOT_YET_VALID/.test(reason))
      return new ConcordatError('ENROLL_CERTIFICATE_EXPIRED', 'the certificate is outside its time of validity');
    if (reason === '' || /UNABLE_TO_GET_ISSUER_CERT$|no certificate/i.test(reason))
      return new ConcordatError('ENROLL_CERTIFICATE_MISSING', 'no certificate was presented');
    return new ConcordatError('ENROLL_CERTIFICATE_UNKNOWN', 'the certificate was not issued by this coordinator');
  }
}
