import '../shared/reflect-metadata.js';
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  randomBytes,
  sign,
  webcrypto,
  X509Certificate,
} from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as x509 from '@peculiar/x509';
import { writeNewFile, writeReplacing } from '../shared/durable-files.js';
import { SERVER_NAME } from '../shared/enrollment.js';
import { ConcordatError } from '../shared/errors.js';
import { privateText, readPrivateText } from '../shared/key-folder.js';
import { LIMITS } from '../shared/limits.js';

/**
 * The transport authority of one coordinator: it signs the server's certificate and those of enrolled sites. It decides
 * nothing about trust between sites, which rests on the roster; a certificate opens a service only when the roster names it.
 */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

export interface TlsIdentity {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly authorityPem: string;
}

const files = (dir: string) => ({
  authority: path.join(dir, 'tls', 'authority.pem'),
  authorityKey: path.join(dir, 'tls', 'authority.key'),
  server: path.join(dir, 'tls', 'server.pem'),
  serverKey: path.join(dir, 'tls', 'server.key'),
});

/** Throws ENROLL_KEYS_EXIST where the folder has an authority already. */
export async function createAuthority(dir: string, nowMs: number): Promise<void> {
  if (existsSync(files(dir).authorityKey))
    throw new ConcordatError('ENROLL_KEYS_EXIST', `${dir} already holds a transport authority`);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial(),
      name: [{ CN: [`Concordat transport authority ${randomBytes(4).toString('hex')}`] }],
      ...validity(nowMs, LIMITS.authorityLifetimeDays),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    },
    webcrypto,
  );
  writeNewFile(files(dir).authority, pem(certificate), 0o644);
  // The key comes last: where it exists, all of the authority does.
  writeNewFile(files(dir).authorityKey, await exportKey(keys.privateKey), 0o600);
}

/**
 * Signs as this coordinator's transport authority (ECDSA P-256, SHA-256, DER), whose certificate every site pinned at
 * enrollment: for what no site signs, such as the summary of a study that ended without publication.
 */
export function signAsAuthority(dir: string, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(sign('sha256', bytes, createPrivateKey(readPrivateText(files(dir).authorityKey))));
}

/** The server's identity; made at the first start and again before it expires, so that a restart needs no operator. */
export async function serverIdentity(dir: string, nowMs: number): Promise<TlsIdentity> {
  const at = files(dir);
  const authority = readAuthority(dir);
  if (!existsSync(at.serverKey) || !existsSync(at.server) || !usable(at.server, at.serverKey, nowMs)) {
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const certificate = await issue(dir, keys.publicKey, SERVER_NAME, nowMs, 'server');
    writeReplacing(at.serverKey, privateText(at.serverKey, await exportKey(keys.privateKey)), 0o600);
    writeReplacing(at.server, pem(certificate), 0o644);
  }
  return {
    certificatePem: readFileSync(at.server, 'utf8'),
    privateKeyPem: readPrivateText(at.serverKey),
    authorityPem: authority.pem,
  };
}

export function authorityPem(dir: string): string {
  return readAuthority(dir).pem;
}

/**
 * A client certificate for the key of a PKCS#10 request. Only the key is taken from the request: the name is the
 * enrolled one. Throws ENROLL_REQUEST_INVALID where the request is unreadable, not P-256 or not signed by its own key.
 */
export async function issueSiteCertificate(
  dir: string,
  site: string,
  csr: Uint8Array,
  nowMs: number,
): Promise<{ readonly certificate: Uint8Array; readonly fingerprint: string }> {
  const key = await keyOfRequest(site, csr);
  const certificate = new Uint8Array((await issue(dir, key, site, nowMs, 'site')).rawData);
  return { certificate, fingerprint: certificateFingerprint(certificate) };
}

/** SHA-256 over the DER, lower-case hexadecimal: how the roster names a certificate. */
export function certificateFingerprint(der: Uint8Array): string {
  return createHash('sha256').update(der).digest('hex');
}

async function keyOfRequest(site: string, csr: Uint8Array): Promise<webcrypto.CryptoKey> {
  try {
    const request = new x509.Pkcs10CertificateRequest(new Uint8Array(csr));
    const spki = Buffer.from(request.publicKey.rawData);
    const { asymmetricKeyType, asymmetricKeyDetails } = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    const isP256 = asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1';
    if (isP256 && (await request.verify(webcrypto)))
      return await request.publicKey.export(ALGORITHM, ['verify'], webcrypto);
  } catch (error) {
    throw new ConcordatError('ENROLL_REQUEST_INVALID', `the certificate request of "${site}" cannot be read`, {
      cause: error,
    });
  }
  throw new ConcordatError(
    'ENROLL_REQUEST_INVALID',
    `the certificate request of "${site}" is not signed by a P-256 key of its own`,
  );
}

async function issue(
  dir: string,
  publicKey: webcrypto.CryptoKey,
  name: string,
  nowMs: number,
  purpose: 'server' | 'site',
): Promise<x509.X509Certificate> {
  const authority = readAuthority(dir);
  const issuer = new x509.X509Certificate(authority.pem);
  const signingKey = await webcrypto.subtle.importKey('pkcs8', derOf(authority.keyPem), ALGORITHM, false, ['sign']);
  const usage = purpose === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
  return x509.X509CertificateGenerator.create(
    {
      serialNumber: serial(),
      subject: [{ CN: [name] }],
      issuer: issuer.subject,
      ...validity(nowMs, LIMITS.certificateLifetimeDays),
      signingKey,
      publicKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([usage]),
        await x509.AuthorityKeyIdentifierExtension.create(issuer, false, webcrypto),
        // Only the server gets a DNS name, so no enrolled site can pose as it.
        ...(purpose === 'server' ? [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])] : []),
      ],
    },
    webcrypto,
  );
}

function readAuthority(dir: string): { readonly pem: string; readonly keyPem: string } {
  try {
    return { pem: readFileSync(files(dir).authority, 'utf8'), keyPem: readPrivateText(files(dir).authorityKey) };
  } catch (error) {
    if (error instanceof ConcordatError) throw error;
    const hint = 'Run `concordat coordinator init` first, or name the right folder.';
    throw new ConcordatError('ENROLL_KEYS_MISSING', `${dir} holds no transport authority`, { hint, cause: error });
  }
}

function validity(nowMs: number, days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  // An hour back, because the clocks of hospitals differ.
  return { notBefore: new Date(nowMs - 3_600_000), notAfter: new Date(nowMs + days * DAY_MS) };
}

/** Belongs to the key (a crash may have come between the two files) and will last a while. */
function usable(certificateFile: string, keyFile: string, nowMs: number): boolean {
  const certificate = new X509Certificate(readFileSync(certificateFile));
  const remainingMs = Date.parse(certificate.validTo) - nowMs;
  const ownKey = certificate.checkPrivateKey(createPrivateKey(readPrivateText(keyFile)));
  return ownKey && remainingMs > LIMITS.certificateRenewalDays * DAY_MS;
}

/** 16 random bytes, the first bit cleared so that it is a positive integer and the second set so that it is not short. */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString('hex');
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', key);
  return x509.PemConverter.encode(pkcs8, 'PRIVATE KEY').concat('\n');
}

function derOf(keyPem: string): ArrayBuffer {
  return x509.PemConverter.decodeFirst(keyPem);
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}
