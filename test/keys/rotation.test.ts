import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SiteLink } from '../../shared/transport.js';
import {
  type Enrolled,
  enrollSite,
  forgetPreviousTls,
  nextTlsCredentials,
  readEnrolled,
} from '../../site-agent/keys.js';
import { requestEnrollment } from '../../site-agent/rpc.js';
import { Loopback, RecordingEvents, until } from '../support/federation.js';

/** A site changes its TLS key while its agent stays connected, over real TLS on loopback. */
let loopback: Loopback;
beforeAll(async () => {
  loopback = await Loopback.start();
});
afterAll(() => loopback.stop());

async function enrolledSite(name: string): Promise<{ dir: string; first: Enrolled }> {
  const first = await loopback.join(name);
  await loopback.sign();
  return { dir: loopback.siteDir(name), first };
}

/** The agent's own way to hold the line: starts with what the folder says, and changes over when refused. */
function hold(dir: string, enrolled: Enrolled): { link: SiteLink; events: RecordingEvents } {
  const events = new RecordingEvents();
  const link = loopback.connect(enrolled, events, { nextCertificate: (refused) => nextTlsCredentials(dir, refused) });
  return { link, events };
}
const count = (events: RecordingEvents, entry: string) => events.log.filter((found) => found === entry).length;

describe('a new TLS key', () => {
  it('is taken up by a connected agent when the roster names it, and the old one opens nothing then', async () => {
    const { dir, first } = await enrolledSite('alder');
    const { link, events } = hold(dir, first);
    await until(() => events.log.includes('connected'), 'it is in');
    const second = await enrollSite(dir, loopback.invite('alder'), requestEnrollment, { newTlsKey: true });
    expect(second.tlsKeyPem).not.toBe(first.tlsKeyPem);
    expect(second.signingPublicKey).toEqual(first.signingPublicKey);
    // Not signed in yet: the line stays, and calls beside it are answered.
    expect(await link.listBundles()).toEqual([]);
    expect(events.log).toEqual(['connected']);

    // An agent that is started in between begins with the new one, is refused, and goes back to the one before.
    const restarted = hold(dir, readEnrolled(dir));
    await until(() => restarted.events.log.includes('connected'), 'the one before still opens');
    expect(restarted.events.log[0]).toBe('ENROLL_CERTIFICATE_UNKNOWN');
    await restarted.link.close();
    await until(() => count(events, 'connected') === 2, 'the first one has its place back');

    await loopback.sign();
    await until(() => count(events, 'connected') === 3, 'it changed over');
    expect(count(events, 'ENROLL_CERTIFICATE_UNKNOWN')).toBe(1);
    expect(await link.listBundles()).toEqual([]);
    const old = new RecordingEvents();
    const oldLink = loopback.connect(first, old);
    await until(() => old.log.length > 0, 'the old key is answered');
    expect(old.log[0]).toBe('ENROLL_CERTIFICATE_UNKNOWN');
    await oldLink.close();
    await link.close();
  });

  it('made half, at any of its steps, leaves the site able to connect and the change able to end', async () => {
    const { dir, first } = await enrolledSite('birch');
    const keys = (file: string) => path.join(dir, 'keys', file);
    const invitation = loopback.invite('birch');

    // Killed after the answer was lost: the key is made, the token used.
    const lost = await enrollSite(
      dir,
      invitation,
      async (to, request) => {
        await requestEnrollment(to, request);
        throw new Error('killed');
      },
      { newTlsKey: true },
    ).catch((error: Error) => error.message);
    expect(lost).toBe('killed');
    expect(readEnrolled(dir).tlsKeyPem).toBe(first.tlsKeyPem);
    const nextKey = readFileSync(keys('tls.next.key'), 'utf8');

    // Killed between the new key and its certificate.
    writeFileSync(keys('tls.previous.key'), first.tlsKeyPem);
    writeFileSync(keys('tls.previous.pem'), first.tlsCertificatePem);
    writeFileSync(keys('tls.key'), nextKey);
    const usable = nextTlsCredentials(dir, { certificatePem: 'none' });
    expect(usable).toEqual({ certificatePem: first.tlsCertificatePem, privateKeyPem: first.tlsKeyPem });

    // Enrolling again with the same token ends it.
    writeFileSync(keys('tls.key'), first.tlsKeyPem);
    const second = await enrollSite(dir, invitation, requestEnrollment);
    expect(second.tlsKeyPem).toBe(nextKey);
    await loopback.sign();
    const { link, events } = hold(dir, second);
    await until(() => events.log.includes('connected'), 'the new one opens');
    expect(events.log).toEqual(['connected']);
    await link.close();
    forgetPreviousTls(dir);
    expect(nextTlsCredentials(dir, { certificatePem: second.tlsCertificatePem }).certificatePem).toBe(
      second.tlsCertificatePem,
    );
  });

  it('whose certificate ended is not the last word while another one is there', async () => {
    const { dir, first } = await enrolledSite('cedar');
    await enrollSite(dir, loopback.invite('cedar'), requestEnrollment, { newTlsKey: true });
    expect(nextTlsCredentials(dir, { certificatePem: first.tlsCertificatePem }).certificatePem).not.toBe(
      first.tlsCertificatePem,
    );
    rmSync(path.join(dir, 'keys', 'tls.pem'));
    renameSync(path.join(dir, 'keys', 'tls.previous.pem'), path.join(dir, 'keys', 'tls.pem'));
    renameSync(path.join(dir, 'keys', 'tls.previous.key'), path.join(dir, 'keys', 'tls.key'));
    expect(nextTlsCredentials(dir, { certificatePem: first.tlsCertificatePem }).certificatePem).toBe(
      first.tlsCertificatePem,
    );
  });
});
