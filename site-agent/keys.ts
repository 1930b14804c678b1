import '../shared/reflect-metadata.js';
import { createPrivateKey, createPublicKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import * as x509 from '@peculiar/x509';
import { z } from 'zod';
import { ed25519PublicKey, ed25519Sign } from '../shared/ed25519.js';
import {
  checkSiteName,
  type EnrollmentGrant,
  type EnrollmentRequest,
  enrollmentStatement,
  type Invitation,
  invitationText,
  parseInvitation,
} from '../shared/enrollment.js';
import { ConcordatError } from '../shared/errors.js';
import { fromHex, toHex } from '../shared/hex.js';
import { privateText, readPrivateText, replacePrivate } from '../shared/key-folder.js';
import { Secret } from '../shared/secret.js';
import { readStoredJson, siteShape } from '../shared/stored-shapes.js';

/**
 * A site's folder of keys. Private keys are made here, readable by their owner only, and never leave it:
 *
 *   keys/site.json        the site's name
 *   keys/signing.key      Ed25519 seed, hexadecimal; signs approvals, rounds and ratifications for the site's whole life
 *   keys/tls.key          P-256, PKCS#8; proves to the coordinator who connects
 *   keys/tls.pem          certificate for it, from enrollment
 *   keys/tls.previous.*   the ones before, until a roster names the new certificate
 *   keys/tls.next.*       a new key and its request while an enrollment is under way
 *   keys/invitation.json  whom the site enrolled with: address, authority and consortium key, all pinned
 *   keys/vault.json       where `keys protect` sealed the private ones: what opens them, itself locked
 */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const at = (dir: string, file: string) => path.join(dir, 'keys', file);

export interface SiteKeys {
  readonly site: string;
  readonly signingKey: Secret;
  readonly signingPublicKey: Uint8Array;
  readonly tlsKeyPem: string;
}

export interface Enrolled extends SiteKeys {
  readonly tlsCertificatePem: string;
  /** RFC 3339: when the certificate ends. */
  readonly certificateEnds: string;
  /** Without its token. */
  readonly invitation: Invitation;
  readonly consortiumPublicKey: Uint8Array;
}

/** Makes the site's keys. Throws ENROLL_KEYS_EXIST where the folder has some, SITE_NAME_INVALID. */
export async function initSite(dir: string, site: string): Promise<SiteKeys> {
  checkSiteName(site);
  if (existsSync(at(dir, 'site.json')))
    throw new ConcordatError('ENROLL_KEYS_EXIST', `${dir} already holds a site's keys`);
  replacePrivate(at(dir, 'signing.key'), `${randomBytes(32).toString('hex')}\n`);
  replacePrivate(at(dir, 'tls.key'), await newTlsKeyPem());
  // The name comes last: where it exists, the keys do.
  replacePrivate(at(dir, 'site.json'), `${JSON.stringify({ site })}\n`);
  return readSiteKeys(dir);
}

const siteFileShape = z.looseObject({ site: siteShape });

/** Throws ENROLL_KEYS_MISSING where the folder was not initialised, STORE_DAMAGED where it names no site. */
export function readSiteKeys(dir: string): SiteKeys {
  try {
    const file = at(dir, 'site.json');
    const { site } = readStoredJson(readFileSync(file, 'utf8'), siteFileShape, file);
    const seed = fromHex(readPrivateText(at(dir, 'signing.key')).trim(), 32);
    if (seed === null) throw new Error('signing.key is not a key');
    const signingKey = new Secret(seed);
    const tlsKeyPem = readPrivateText(at(dir, 'tls.key'));
    return { site, signingKey, signingPublicKey: ed25519PublicKey(signingKey), tlsKeyPem };
  } catch (error) {
    if (error instanceof ConcordatError) throw error;
    const hint = 'Run `concordat site init` first, or name the right folder.';
    throw new ConcordatError('ENROLL_KEYS_MISSING', `${dir} holds no keys of a site`, { hint, cause: error });
  }
}

/** Everything a site needs to connect. Throws ENROLL_KEYS_MISSING before enrollment. */
export function readEnrolled(dir: string): Enrolled {
  const keys = readSiteKeys(dir);
  if (!existsSync(at(dir, 'tls.pem')) || !existsSync(at(dir, 'invitation.json'))) {
    const hint = 'Run `concordat site enroll` with the invitation from the coordinator.';
    throw new ConcordatError('ENROLL_KEYS_MISSING', `site "${keys.site}" has not enrolled yet`, { hint });
  }
  const tlsCertificatePem = readFileSync(at(dir, 'tls.pem'), 'utf8');
  const invitation = parseInvitation(readFileSync(at(dir, 'invitation.json'), 'utf8'));
  return {
    ...keys,
    tlsCertificatePem,
    certificateEnds: new Date(new X509Certificate(tlsCertificatePem).validTo).toISOString(),
    invitation,
    consortiumPublicKey: fromHex(invitation.consortiumPublicKey, 32)!,
  };
}

/**
 * Sends the request through `send` (site-agent/rpc.ts requestEnrollment) and keeps what comes back. The certificate must
 * be for this site's own key and from the authority of the invitation. Enrolling again replaces the certificate; the keys
 * stay, but for the TLS key where `newTlsKey` asks for a new one. Certificate and key before are kept beside, so that an
 * agent goes on with them until the consortium has signed the new ones in. Throws ENROLL_TOKEN_OTHER_SITE before anything is sent, ENROLL_REQUEST_INVALID for a strange certificate, and
 * whatever `send` throws.
 */
export async function enrollSite(
  dir: string,
  invitation: Invitation,
  send: (invitation: Invitation, request: EnrollmentRequest) => Promise<EnrollmentGrant>,
  options: { readonly newTlsKey?: boolean } = {},
): Promise<Enrolled> {
  const keys = readSiteKeys(dir);
  if (invitation.site !== keys.site)
    throw new ConcordatError(
      'ENROLL_TOKEN_OTHER_SITE',
      `the invitation is for site "${invitation.site}", this folder belongs to "${keys.site}"`,
    );
  // A change that was begun goes on with the key that was made for it: the token may have been used for that.
  const next = existsSync(at(dir, 'tls.next.key'));
  if (options.newTlsKey === true && !next)
    replacePrivate(at(dir, 'tls.next.key'), privateText(at(dir, 'tls.next.key'), await newTlsKeyPem()));
  const renewing = next || options.newTlsKey === true;
  const keyPem = renewing ? readPrivateText(at(dir, 'tls.next.key')) : keys.tlsKeyPem;
  const unsigned = {
    site: keys.site,
    token: fromHex(invitation.token, 32)!,
    csr: await requestFor(keys.site, keyPem, at(dir, renewing ? 'tls.next.csr' : 'tls.csr')),
    signingPublicKey: keys.signingPublicKey,
  };
  const proof = ed25519Sign(keys.signingKey, enrollmentStatement(unsigned));
  const { certificate } = await send(invitation, { ...unsigned, proof });
  const parsed = new X509Certificate(certificate);
  const own = createPublicKey(keyPem).export({ format: 'der', type: 'spki' });
  const authority = new X509Certificate(invitation.authority);
  if (!parsed.publicKey.export({ format: 'der', type: 'spki' }).equals(own) || !parsed.verify(authority.publicKey))
    throw new ConcordatError(
      'ENROLL_REQUEST_INVALID',
      'the certificate that came back is not for this key or not by this authority',
    );
  if (existsSync(at(dir, 'tls.pem'))) {
    replacePrivate(at(dir, 'tls.previous.key'), privateText(at(dir, 'tls.previous.key'), keys.tlsKeyPem));
    replacePrivate(at(dir, 'tls.previous.pem'), readFileSync(at(dir, 'tls.pem'), 'utf8'));
  }
  // The key first: after a crash in between, `tls.next.key` is still there, and enrolling again ends the change.
  if (renewing) replacePrivate(at(dir, 'tls.key'), privateText(at(dir, 'tls.key'), keyPem));
  replacePrivate(at(dir, 'tls.pem'), `${parsed.toString().trim()}\n`);
  replacePrivate(at(dir, 'invitation.json'), invitationText({ ...invitation, token: toHex(new Uint8Array(32)) }));
  if (renewing) {
    const request = readFileSync(at(dir, 'tls.next.csr'), 'utf8');
    replacePrivate(at(dir, 'tls.csr'), request);
    for (const file of ['tls.next.csr', 'tls.next.key']) rmSync(at(dir, file), { force: true });
  }
  return readEnrolled(dir);
}

/**
 * The other pair of TLS key and certificate than the one that was refused, or the same again where there is no other: a site
 * whose key was changed has two until the roster names the new one.
 */
export function nextTlsCredentials(
  dir: string,
  refused: { readonly certificatePem: string },
): { readonly certificatePem: string; readonly privateKeyPem: string } {
  const pairs = ['tls', 'tls.previous'].flatMap((name) => {
    if (!existsSync(at(dir, `${name}.pem`)) || !existsSync(at(dir, `${name}.key`))) return [];
    const certificatePem = readFileSync(at(dir, `${name}.pem`), 'utf8');
    const privateKeyPem = readPrivateText(at(dir, `${name}.key`));
    // A crash may have come between the two files.
    const fits = new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(privateKeyPem));
    return fits ? [{ certificatePem, privateKeyPem }] : [];
  });
  const other = pairs.find(({ certificatePem }) => certificatePem !== refused.certificatePem);
  return other ?? pairs[0] ?? readTls(dir);
}

function readTls(dir: string) {
  const { tlsCertificatePem, tlsKeyPem } = readEnrolled(dir);
  return { certificatePem: tlsCertificatePem, privateKeyPem: tlsKeyPem };
}

/** The roster names the new certificate: key and certificate before it are of no use to anybody but a thief. */
export function forgetPreviousTls(dir: string): void {
  for (const file of ['tls.previous.key', 'tls.previous.pem']) rmSync(at(dir, file), { force: true });
}

async function newTlsKeyPem(): Promise<string> {
  const pair = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', pair.privateKey);
  return `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`;
}

/** The PKCS#10 request, made once: repeating an enrollment whose answer was lost must repeat the same bytes. */
async function requestFor(site: string, keyPem: string, file: string): Promise<Uint8Array> {
  if (!existsSync(file)) {
    const der = x509.PemConverter.decodeFirst(keyPem);
    const spki = createPublicKey(keyPem).export({ format: 'der', type: 'spki' });
    const request = await x509.Pkcs10CertificateRequestGenerator.create(
      {
        name: [{ CN: [site] }],
        keys: {
          privateKey: await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']),
          publicKey: await webcrypto.subtle.importKey('spki', new Uint8Array(spki), ALGORITHM, true, ['verify']),
        },
        signingAlgorithm: ALGORITHM,
      },
      webcrypto,
    );
    replacePrivate(file, `${request.toString('pem')}\n`);
  }
  return new Uint8Array(x509.PemConverter.decodeFirst(readFileSync(file, 'utf8')));
}
