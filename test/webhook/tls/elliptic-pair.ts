// A self-signed P-256 CA for "localhost" until 2126, made for these tests by "openssl req -x509". node-forge can make
// no such certificate, so it stands here. It protects nothing.
export const ellipticCertificatePem = `-----BEGIN CERTIFICATE-----
MIIBlDCCATmgAwIBAgIUJrCZ6h1S4dWY+YeDZXUM6ckuVjAwCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIZWxsaXB0aWMwIBcNMjYxMTI0MDgyODI2WhgPMjEyNjEwMzEw
ODI4MjZaMBMxETAPBgNVBAMMCGVsbGlwdGljMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAE+ZutjOR4xd2qRg3DAQRYNjInBNTUJnxee9dvLizoQyjk7bi5DuI35iVT
WN2VYKAOckEqqdqwB5ic/rNGa8xkqqNpMGcwHQYDVR0OBBYEFL8EKisiiEZijbhB
v/vRuvtW/tznMB8GA1UdIwQYMBaAFL8EKisiiEZijbhBv/vRuvtW/tznMA8GA1Ud
EwEB/wQFMAMBAf8wFAYDVR0RBA0wC4IJbG9jYWxob3N0MAoGCCqGSM49BAMCA0kA
MEYCIQDbV9F99EoVmdOoeCN6kHykOiiTa3VMwCta38fSddpXOQIhAKi/4LDijHC9
2hNEClOmGCc7bg/MUT1u3JfDMXFN9xX9
-----END CERTIFICATE-----
`;

/** SEC 1, as "openssl ecparam -genkey" writes it. */
export const ellipticKeyPem = `-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIKIq4imxcSs98pzBK4+pMpwF1nzUwk9LluaEK2d6oHBXoAoGCCqGSM49
AwEHoUQDQgAE+ZutjOR4xd2qRg3DAQRYNjInBNTUJnxee9dvLizoQyjk7bi5DuI3
5iVTWN2VYKAOckEqqdqwB5ic/rNGa8xkqg==
-----END EC PRIVATE KEY-----
`;
