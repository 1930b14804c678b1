import { createRequire } from 'node:module';
import path from 'node:path';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SERVER_NAME } from '../../shared/enrollment.js';
import { CODE_METADATA, TIME_METADATA } from '../../shared/wire/status.js';
import type { Enrolled } from '../../site-agent/keys.js';
import { Loopback } from '../support/federation.js';

/** Reflection and health as a tool outside Concordat calls them, over real TLS. */
let loopback: Loopback;
let alder: Enrolled;
const NOW_MS = Date.parse('2027-01-02T03:04:05Z');

beforeAll(async () => {
  loopback = await Loopback.start({ nowMs: () => NOW_MS });
  alder = await loopback.join('alder');
  await loopback.sign();
});
afterAll(() => loopback.stop());

function client(service: string, proto: string, withCertificate: boolean): grpc.Client {
  const loaded = loadSync(proto, { keepCase: false, defaults: true, longs: Number });
  const Client = grpc.makeClientConstructor(loaded[service] as grpc.ServiceDefinition, service);
  const credentials = grpc.credentials.createSsl(
    Buffer.from(alder.invitation.authority),
    withCertificate ? Buffer.from(alder.tlsKeyPem) : null,
    withCertificate ? Buffer.from(alder.tlsCertificatePem) : null,
  );
  return new Client(`127.0.0.1:${loopback.server.port}`, credentials, {
    'grpc.ssl_target_name_override': SERVER_NAME,
  });
}

function listServices(withCertificate: boolean): Promise<string[]> {
  const package_ = path.dirname(createRequire(import.meta.url).resolve('@grpc/reflection/package.json'));
  const stub = client(
    'grpc.reflection.v1.ServerReflection',
    path.join(package_, 'build/proto/grpc/reflection/v1/reflection.proto'),
    withCertificate,
  ) as grpc.Client & { serverReflectionInfo(): grpc.ClientDuplexStream<unknown, unknown> };
  return new Promise((resolve, reject) => {
    const call = stub.serverReflectionInfo();
    call.on('error', reject);
    call.on('data', (answer: { listServicesResponse: { service: { name: string }[] } }) => {
      resolve(answer.listServicesResponse.service.map(({ name }) => name));
      call.end();
      stub.close();
    });
    call.write({ listServices: '' });
  });
}

describe('gRPC reflection', () => {
  it('names the services to an enrolled site', async () => {
    expect(await listServices(true)).toEqual(
      expect.arrayContaining(['concordat.v1.Federation', 'concordat.v1.Transfer', 'grpc.health.v1.Health']),
    );
  });

  it('tells a stranger nothing', async () => {
    const refused = await listServices(false).then(
      () => null,
      (error: grpc.ServiceError) => error,
    );
    expect(refused?.code).toBe(grpc.status.UNAUTHENTICATED);
    expect(refused?.metadata.get(CODE_METADATA)).toEqual(['ENROLL_CERTIFICATE_MISSING']);
  });
});

describe('gRPC health', () => {
  it('answers a stranger that it serves, with the coordinator’s clock', async () => {
    const stub = client('grpc.health.v1.Health', 'protos/grpc/health/v1/health.proto', false) as grpc.Client & {
      check(request: object, done: (error: unknown, answer: { status: unknown }) => void): grpc.ClientUnaryCall;
    };
    const time = new Promise((resolve, reject) => {
      const call = stub.check({ service: '' }, (error, answer) =>
        error === null ? expect(answer.status).toBe(1) : reject(error),
      );
      call.on('metadata', (metadata: grpc.Metadata) => resolve(metadata.get(TIME_METADATA)));
    });
    expect(await time).toEqual([String(NOW_MS)]);
    stub.close();
  });
});
