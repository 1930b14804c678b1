import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { initConsortium, readConsortiumPublicKey, signRoster } from '../../cli/consortium-keys.js';
import {
  createInvitation,
  currentRoster,
  enroll,
  initCoordinator,
  installRoster,
  pendingEnrollments,
  readRosterChain,
} from '../../coordinator/enrollment.js';
import { certificateFingerprint, serverIdentity } from '../../coordinator/tls.js';
import { ed25519PublicKey, ed25519Sign, ed25519Verify } from '../../shared/ed25519.js';
import {
  type EnrollmentRequest,
  enrollmentStatement,
  type Invitation,
  invitationText,
  parseInvitation,
} from '../../shared/enrollment.js';
import { toHex } from '../../shared/hex.js';
import { extendTrust, nextRoster, signRosterWith } from '../../shared/roster.js';
import { Secret } from '../../shared/secret.js';
import { enrollSite, initSite, readEnrolled, readSiteKeys } from '../../site-agent/keys.js';

const NOW = Date.UTC(2026, 10, 21);
const DAY = 86_400_000;
let root: string;
let coordinator: string;
let consortium: string;
let consortiumKey: Uint8Array;
const siteDir = (site: string) => path.join(root, 'sites', site);

beforeEach(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'concordat-enroll-'));
  coordinator = path.join(root, 'coordinator');
  consortium = path.join(root, 'consortium');
  consortiumKey = initConsortium(consortium);
  await initCoordinator(coordinator, consortiumKey, NOW);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const direct = (nowMs: number) => (_: Invitation, request: EnrollmentRequest) => enroll(coordinator, request, nowMs);
const invite = (site: string) => createInvitation(coordinator, site, 'hub.example:7443', NOW);
const joined = async (site: string) => {
  await initSite(siteDir(site), site);
  return enrollSite(siteDir(site), invite(site), direct(NOW));
};
async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return 'none';
}

describe('enrollment', () => {
  it('leads from an invitation to an active member whose certificate the roster names', async () => {
    const alder = await joined('alder');
    expect(pendingEnrollments(coordinator).map(({ site }) => site)).toEqual(['alder']);
    const roster = await signRoster(consortium, coordinator, {}, NOW);
    expect(roster.sites).toEqual([
      {
        site: 'alder',
        signingPublicKey: toHex(alder.signingPublicKey),
        tlsFingerprint: new X509Certificate(alder.tlsCertificatePem).fingerprint256.replaceAll(':', '').toLowerCase(),
        status: 'active',
      },
    ]);
    expect(pendingEnrollments(coordinator)).toEqual([]);
    // OpenSSL's own view of what the authority issued.
    const certificate = new X509Certificate(alder.tlsCertificatePem);
    const authority = new X509Certificate(alder.invitation.authority);
    expect(certificate.checkIssued(authority) && certificate.verify(authority.publicKey)).toBe(true);
    expect(certificate.subject).toBe('CN=alder');
    expect(certificate.ca).toBe(false);
    expect(certificate.subjectAltName).toBeUndefined();
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
  });

  it('keeps private keys at the site, for its owner only, and tokens at the coordinator as hashes', async () => {
    const invitation = invite('alder');
    await initSite(siteDir('alder'), 'alder');
    await enrollSite(siteDir('alder'), invitation, direct(NOW));
    for (const file of readdirSync(path.join(siteDir('alder'), 'keys')))
      expect(statSync(path.join(siteDir('alder'), 'keys', file)).mode & 0o077, file).toBe(0);
    expect(statSync(path.join(consortium, 'consortium.key')).mode & 0o077).toBe(0);
    const signing = readFileSync(path.join(siteDir('alder'), 'keys', 'signing.key'), 'utf8').trim();
    const tls = readFileSync(path.join(siteDir('alder'), 'keys', 'tls.key'), 'utf8').split('\n')[1]!;
    const everything = filesBelow(coordinator)
      .map((file) => readFileSync(file, 'utf8'))
      .join('\n');
    for (const secret of [signing, tls, invitation.token]) expect(everything.includes(secret)).toBe(false);
    expect(filesBelow(siteDir('alder')).some((file) => readFileSync(file, 'utf8').includes(invitation.token))).toBe(
      false,
    );
  });

  it('adds and revokes one site without touching the credentials of another', async () => {
    await joined('alder');
    await joined('birch');
    const first = await signRoster(consortium, coordinator, {}, NOW);
    const before = filesBelow(siteDir('alder')).map((file) => readFileSync(file, 'utf8'));
    await joined('cedar');
    await signRoster(consortium, coordinator, { revoke: ['birch'] }, NOW);
    const last = currentRoster(coordinator)!;
    expect(last.version).toBe(2);
    expect(last.sites.map(({ site, status }) => `${site} ${status}`)).toEqual([
      'alder active',
      'birch revoked',
      'cedar active',
    ]);
    expect(last.sites[0]).toEqual(first.sites[0]);
    expect(filesBelow(siteDir('alder')).map((file) => readFileSync(file, 'utf8'))).toEqual(before);
  });

  it('gives the same certificate when the same request comes again, because its answer may have been lost', async () => {
    await initSite(siteDir('alder'), 'alder');
    const invitation = invite('alder');
    const lost = enrollSite(siteDir('alder'), invitation, async (_, request) => {
      await enroll(coordinator, request, NOW);
      throw new Error('the line broke');
    });
    await expect(lost).rejects.toThrow('the line broke');
    await enrollSite(siteDir('alder'), invitation, direct(NOW + 30 * DAY));
    expect(pendingEnrollments(coordinator)[0]!.tlsFingerprint).toBe(
      certificateFingerprint(new X509Certificate(readEnrolled(siteDir('alder')).tlsCertificatePem).raw),
    );
  });

  it('renews a certificate under a new token while the signing key stays', async () => {
    const first = await joined('alder');
    await signRoster(consortium, coordinator, {}, NOW);
    const again = await enrollSite(
      siteDir('alder'),
      createInvitation(coordinator, 'alder', 'hub:1', NOW + 700 * DAY),
      direct(NOW + 700 * DAY),
    );
    const roster = await signRoster(consortium, coordinator, {}, NOW + 700 * DAY);
    expect(again.tlsCertificatePem).not.toBe(first.tlsCertificatePem);
    expect(toHex(again.signingPublicKey)).toBe(toHex(first.signingPublicKey));
    expect(roster.sites).toHaveLength(1);
  });

  it('needs no operator at a restart: the server certificate is renewed before it ends', async () => {
    const first = await serverIdentity(coordinator, NOW);
    expect((await serverIdentity(coordinator, NOW + 100 * DAY)).certificatePem).toBe(first.certificatePem);
    const late = await serverIdentity(coordinator, NOW + 700 * DAY);
    expect(late.certificatePem).not.toBe(first.certificatePem);
    expect(new X509Certificate(late.certificatePem).verify(new X509Certificate(first.authorityPem).publicKey)).toBe(
      true,
    );
    // A crash between the two files leaves a key that is not the certificate's.
    writeFileSync(path.join(coordinator, 'tls', 'server.key'), first.privateKeyPem);
    expect((await serverIdentity(coordinator, NOW + 700 * DAY)).certificatePem).not.toBe(late.certificatePem);
  });
});

describe('enrollment refuses, each with its code', () => {
  const requestOf = async (site: string, invitation: Invitation): Promise<EnrollmentRequest> => {
    if (!existsSync(siteDir(site))) await initSite(siteDir(site), site);
    let sent: EnrollmentRequest | undefined;
    const stop = enrollSite(siteDir(site), { ...invitation, site }, async (_, request) => {
      sent = request;
      throw new Error('stop');
    });
    await stop.catch(() => undefined);
    return sent!;
  };
  const signed = (site: string, request: EnrollmentRequest): EnrollmentRequest => ({
    ...request,
    proof: ed25519Sign(readSiteKeys(siteDir(site)).signingKey, enrollmentStatement(request)),
  });

  it('a token that was not given out', async () => {
    const request = await requestOf('alder', { ...invite('alder'), token: 'ab'.repeat(32) });
    expect(await codeOf(() => enroll(coordinator, request, NOW))).toBe('ENROLL_TOKEN_UNKNOWN');
  });
  it('an expired token', async () => {
    const request = await requestOf('alder', invite('alder'));
    expect(await codeOf(() => enroll(coordinator, request, NOW + 8 * DAY))).toBe('ENROLL_TOKEN_EXPIRED');
  });
  it('a token that another request used', async () => {
    const invitation = invite('alder');
    await enroll(coordinator, await requestOf('alder', invitation), NOW);
    rmSync(siteDir('alder'), { recursive: true });
    expect(await codeOf(async () => enroll(coordinator, await requestOf('alder', invitation), NOW))).toBe(
      'ENROLL_TOKEN_USED',
    );
  });
  it('of two requests with one token at once, all but one', async () => {
    const invitation = invite('alder');
    const first = await requestOf('alder', invitation);
    rmSync(siteDir('alder'), { recursive: true });
    const second = await requestOf('alder', invitation);
    const codes = await Promise.all([first, second].map((request) => codeOf(() => enroll(coordinator, request, NOW))));
    expect(codes.sort()).toEqual(['ENROLL_TOKEN_USED', 'none']);
  });
  it('a token of another site, at the coordinator and before anything is sent', async () => {
    const invitation = invite('alder');
    const request = await requestOf('birch', invitation);
    expect(await codeOf(() => enroll(coordinator, request, NOW))).toBe('ENROLL_TOKEN_OTHER_SITE');
    expect(await codeOf(() => enrollSite(siteDir('birch'), invitation, () => Promise.reject(new Error('sent'))))).toBe(
      'ENROLL_TOKEN_OTHER_SITE',
    );
  });
  it('a request whose sender does not hold the keys', async () => {
    const request = await requestOf('alder', invite('alder'));
    const forged = [
      { ...request, signingPublicKey: new Uint8Array(32).fill(9) },
      { ...request, proof: new Uint8Array(64) },
      signed('alder', { ...request, csr: new Uint8Array([1, 2, 3]) }),
      signed('alder', {
        ...request,
        csr: request.csr.map((byte, i) => (i === request.csr.length - 4 ? byte ^ 1 : byte)),
      }),
    ];
    for (const bad of forged) expect(await codeOf(() => enroll(coordinator, bad, NOW))).toBe('ENROLL_REQUEST_INVALID');
    expect(await codeOf(() => enroll(coordinator, request, NOW))).toBe('none');
  });
  it('a certificate that is not for the key that asked', async () => {
    const birch = await joined('birch');
    await initSite(siteDir('alder'), 'alder');
    const other = new Uint8Array(new X509Certificate(birch.tlsCertificatePem).raw);
    expect(
      await codeOf(() => enrollSite(siteDir('alder'), invite('alder'), async () => ({ certificate: other }))),
    ).toBe('ENROLL_REQUEST_INVALID');
  });
  it('a second set of keys in one folder, a missing one, a bad name, a damaged invitation', async () => {
    await initSite(siteDir('alder'), 'alder');
    expect(await codeOf(() => initSite(siteDir('alder'), 'alder'))).toBe('ENROLL_KEYS_EXIST');
    expect(await codeOf(() => initConsortium(consortium))).toBe('ENROLL_KEYS_EXIST');
    expect(await codeOf(() => initCoordinator(coordinator, consortiumKey, NOW))).toBe('ENROLL_KEYS_EXIST');
    expect(await codeOf(() => readEnrolled(siteDir('alder')))).toBe('ENROLL_KEYS_MISSING');
    expect(await codeOf(() => readSiteKeys(siteDir('nobody')))).toBe('ENROLL_KEYS_MISSING');
    expect(await codeOf(() => readConsortiumPublicKey(siteDir('nobody')))).toBe('ENROLL_KEYS_MISSING');
    expect(await codeOf(() => serverIdentity(root, NOW))).toBe('ENROLL_KEYS_MISSING');
    expect(await codeOf(() => invite('../../etc'))).toBe('SITE_NAME_INVALID');
    expect(await codeOf(() => parseInvitation('{'))).toBe('ENROLL_INVITATION_INVALID');
    const cut = invitationText(invite('alder')).replace('"token"', '"tokem"');
    expect(await codeOf(() => parseInvitation(cut))).toBe('ENROLL_INVITATION_INVALID');
    expect(parseInvitation(invitationText({ ...invite('alder'), coordinator: '[::1]:7443' })).site).toBe('alder');
  });
  it('a roster without anything to sign, of an unknown site, of another consortium', async () => {
    expect(await codeOf(() => signRoster(consortium, coordinator))).toBe('ENROLL_NOTHING_PENDING');
    expect(await codeOf(() => signRoster(consortium, coordinator, { revoke: ['alder'] }))).toBe('SITE_UNKNOWN');
    await joined('alder');
    expect(await codeOf(() => signRoster(consortium, coordinator, { accept: ['birch'] }))).toBe('SITE_UNKNOWN');
    const other = path.join(root, 'other');
    initConsortium(other);
    expect(await codeOf(() => signRoster(other, coordinator))).toBe('ENROLL_CONSORTIUM_MISMATCH');
  });
});

describe('the roster chain', () => {
  const key = new Secret(new Uint8Array(32).fill(7));
  const stranger = new Secret(new Uint8Array(32).fill(8));
  const publicKey = ed25519PublicKey(key);
  const member = (site: string, n: number) => ({
    site,
    signingPublicKey: String(n).repeat(64),
    tlsFingerprint: String(n + 1).repeat(64),
    status: 'active' as const,
  });
  const one = nextRoster(null, [member('alder', 1)], '2026-11-21T00:00:00.000Z');
  const two = nextRoster(one, [member('birch', 3)], '2026-11-22T00:00:00.000Z');
  const three = nextRoster(two, [{ ...member('alder', 1), status: 'revoked' }], '2026-11-23T00:00:00.000Z');
  const chain = [one, two, three].map((roster) => signRosterWith(key, roster));
  const trust = (from: Parameters<typeof extendTrust>[0], signed: Parameters<typeof extendTrust>[1]) => () =>
    extendTrust(from, signed, publicKey);

  it('is trusted from the first version, or on from where trust stands', () => {
    expect(extendTrust(null, chain, publicKey)).toEqual(three);
    expect(extendTrust(one, chain, publicKey)).toEqual(three);
    expect(extendTrust(three, chain, publicKey)).toEqual(three);
    expect(extendTrust(one, [], publicKey)).toEqual(one);
  });
  it('is refused with a gap, another past, a second version of one number or names out of order', async () => {
    expect(await codeOf(trust(null, [chain[1]!]))).toBe('SITE_ROSTER_CHAIN_BROKEN');
    expect(await codeOf(trust(one, [chain[2]!]))).toBe('SITE_ROSTER_CHAIN_BROKEN');
    const fork = nextRoster(one, [member('cedar', 5)], '2026-11-22T00:00:00.000Z');
    expect(await codeOf(trust(two, [signRosterWith(key, fork)]))).toBe('SITE_ROSTER_CHAIN_BROKEN');
    expect(await codeOf(trust(null, [chain[0]!, signRosterWith(key, fork), chain[2]!]))).toBe(
      'SITE_ROSTER_CHAIN_BROKEN',
    );
    expect(await codeOf(() => nextRoster(one, [{ ...member('birch', 3), tlsFingerprint: '2'.repeat(64) }], ''))).toBe(
      'SITE_ROSTER_CHAIN_BROKEN',
    );
  });
  it('is refused under another key, or when one character was changed', async () => {
    expect(await codeOf(trust(null, [signRosterWith(stranger, one)]))).toBe('SITE_ROSTER_UNTRUSTED');
    const changed = { ...chain[0]!, roster: { ...one, sites: [member('alder', 5)] } };
    expect(await codeOf(trust(null, [changed]))).toBe('SITE_ROSTER_UNTRUSTED');
    expect(await codeOf(trust(one, [{ ...chain[1]!, signature: '0'.repeat(128) }]))).toBe('SITE_ROSTER_UNTRUSTED');
  });
  it('is installed at the coordinator only when it continues what is there', async () => {
    await joined('alder');
    await signRoster(consortium, coordinator, {}, NOW);
    expect(await codeOf(() => installRoster(coordinator, chain[1]!))).toBe('SITE_ROSTER_UNTRUSTED');
    writeFileSync(path.join(coordinator, 'rosters', '000002.json'), '{"roster": 1}');
    expect(await codeOf(() => readRosterChain(coordinator))).toBe('SITE_ROSTER_CHAIN_BROKEN');
  });
});

describe('Ed25519 over raw keys', () => {
  // RFC 8032, section 7.1, test 2.
  const seed = new Secret(Buffer.from('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb', 'hex'));
  it('gives the key and signature of RFC 8032', () => {
    expect(toHex(ed25519PublicKey(seed))).toBe('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
    const signature = ed25519Sign(seed, Uint8Array.of(0x72));
    expect(toHex(signature)).toBe(
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    );
    expect(ed25519Verify(ed25519PublicKey(seed), Uint8Array.of(0x72), signature)).toBe(true);
    expect(ed25519Verify(ed25519PublicKey(seed), Uint8Array.of(0x73), signature)).toBe(false);
    expect(ed25519Verify(new Uint8Array(31), Uint8Array.of(0x72), signature)).toBe(false);
  });
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
}
