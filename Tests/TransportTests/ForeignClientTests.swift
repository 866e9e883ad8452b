import CLinux
import Dispatch
import Glibc
import Testing
import Transport

/// Runs a shell command with no input and answers whether it ended well; nil when the shell cannot be started.
private func shell(_ command: String) async -> Bool? {
  await withCheckedContinuation { continuation in
    DispatchQueue(label: "shell").async {
      let words = ["sh", "-c", command + " >/dev/null 2>&1 </dev/null"]
      var arguments = words.map { strdup($0) } + [nil]
      defer { for argument in arguments { free(argument) } }
      var child = pid_t()
      var status: Int32 = 0
      guard posix_spawn(&child, "/bin/sh", nil, nil, &arguments, environ) == 0, waitpid(child, &status, 0) == child
      else { return continuation.resume(returning: nil) }
      continuation.resume(returning: status == 0)
    }
  }
}

@Suite(.serialized, .timeLimit(.minutes(1))) struct ForeignClientTests {
  /// What `openssl s_client` offers, and whether it is let in. The script is tools/make-peer-certificate.
  enum Offer: String, CaseIterable {
    case proper = "-tls1_3 -cert peer.pem -key peer.key"
    case tls12 = "-tls1_2 -cert peer.pem -key peer.key"
    case noCertificate = "-tls1_3"
    case rsa = "-tls1_3 -cert rsa.pem -key rsa.key"
    case curve = "-tls1_3 -cert ec.pem -key ec.key"
    case twoCertificates = "-tls1_3 -cert peer.pem -key peer.key -cert_chain rsa.pem"
    case expired = "-tls1_3 -cert old.pem -key peer.key"
    case issued = "-tls1_3 -cert issued.pem -key peer.key"
  }

  @Test("openssl s_client is let in with a proper certificate and TLS 1.3, and with nothing else")
  func offers() async throws {
    let directory = ScratchDirectory()
    let script = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined() + "/tools/make-peer-certificate"
    let made = await shell(
      """
      { set -e; '\(script)' '\(directory.path)'; cd '\(directory.path)'
      openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -subj /CN=a -days 9 -out rsa.pem
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ec.key -subj /CN=a -days 9 -out ec.pem
      openssl req -new -key peer.key -subj /CN=a -out a.csr
      echo 01 > serial; : > index
      printf '%s\\n' [ca] default_ca=d [d] database=index new_certs_dir=. serial=serial policy=p default_md=default \\
        [p] commonName=supplied > ca.cnf
      openssl ca -batch -config ca.cnf -selfsign -keyfile peer.key -in a.csr -notext -out old.pem \\
        -startdate 20200101000000Z -enddate 20200201000000Z
      openssl x509 -req -in a.csr -CA rsa.pem -CAkey rsa.key -CAcreateserial -days 9 -out issued.pem; }
      """)
    try #require(made == true)
    let station = try Station()
    let (listener, accepted) = try await station.listen()
    var iterator = accepted.makeAsyncIterator()
    for offer in Offer.allCases {
      _ = await shell(
        "cd '\(directory.path)' && timeout 20 openssl s_client -connect 127.0.0.1:\(listener.address.port) \(offer.rawValue)"
      )
      let (_, events) = try #require(await iterator.next())
      let key = await events.ready()
      #expect((key != nil) == (offer == .proper), "\(offer)")
    }
    try await station.on { listener.close() }
  }
}
