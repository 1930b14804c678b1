import type { Http2SecureServer } from 'node:http2';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import type grpc from '@grpc/grpc-js';
import { ConcordatError } from '../shared/errors.js';
import type { Roster } from '../shared/roster.js';
import { addressOf } from './rpc-door.js';
import { certificateFingerprint } from './tls.js';

/** The part of a gRPC call that says who is calling. */
type Call = Pick<grpc.ServerUnaryCall<unknown, unknown>, 'getPeer'>;

interface Certificate {
  readonly fingerprint: string;
  readonly validFrom: string;
  readonly validTo: string;
  readonly name: string;
}

function certificateOf(shown: PeerCertificate): Certificate {
  return {
    fingerprint: certificateFingerprint(shown.raw),
    validFrom: shown.valid_from,
    validTo: shown.valid_to,
    name: String(shown.subject.CN),
  };
}

/**
 * Who is calling: the site whose certificate the roster names. TLS has proven possession of the key and that the authority
 * signed the certificate when the connection was made; the roster and the clock decide the rest, anew for every call.
 */
export class Access {
  /** Why TLS did not vouch for a connection, by remote address and port; gRPC itself does not say. */
  private readonly refusals = new Map<string, string>();
  /** What the certificate says of a connection that TLS vouches for: reading it anew for every call costs as much as the call. */
  private readonly certificates = new Map<string, Certificate>();

  constructor(
    private readonly roster: () => Roster | null,
    private readonly nowMs: () => number,
    private readonly refused: (address: string, error: ConcordatError) => void = () => undefined,
  ) {}

  watch(server: Http2SecureServer): void {
    server.on('secureConnection', (socket: TLSSocket) => {
      if (socket.remoteAddress === undefined) return;
      const peer = `${socket.remoteAddress}:${socket.remotePort}`;
      // A connection before may have had this address and port, and its end may not be known here yet.
      this.certificates.delete(peer);
      this.refusals.delete(peer);
      const shown = socket.authorized ? socket.getPeerCertificate() : undefined;
      if (shown?.raw !== undefined) {
        const certificate = certificateOf(shown);
        this.certificates.set(peer, certificate);
        socket.once('close', () => {
          if (this.certificates.get(peer) === certificate) this.certificates.delete(peer);
        });
        return;
      }
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
    const certificate = this.certificates.get(call.getPeer());
    if (certificate === undefined) throw this.refusal(this.refusals.get(call.getPeer()) ?? '');
    const { fingerprint, validFrom, validTo, name } = certificate;
    const now = this.nowMs();
    if (now >= Date.parse(validTo) || now < Date.parse(validFrom))
      throw new ConcordatError('ENROLL_CERTIFICATE_EXPIRED', `the certificate was valid until ${validTo}`);
    const members = this.roster()?.sites ?? [];
    const member = members.find((entry) => entry.tlsFingerprint === fingerprint);
    if (member?.status === 'active') return member.site;
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
