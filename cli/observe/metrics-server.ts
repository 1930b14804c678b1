import { createServer } from 'node:http';
import type { Registry } from 'prom-client';
import { ConcordatError } from '../../shared/errors.js';

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Answers GET /metrics in Prometheus' text format and nothing else, over plain HTTP: meant for a scraper on the same
 * host. Throws WIRE_PORT_IN_USE.
 */
export async function serveMetrics(registry: Registry, host: string, port: number): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  server.requestTimeout = 10_000;
  server.maxConnections = 16;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new ConcordatError(
          error.code === 'EADDRINUSE' ? 'WIRE_PORT_IN_USE' : 'WIRE_UNREACHABLE',
          `the metrics address ${host}:${port} cannot be listened on: ${error.message}`,
          { cause: error },
        ),
      ),
    );
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as { port: number }).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
