import Foundation
import Synchronization

/// A host that the phone trusts, as the phone remembers it.
struct TrustedHost: Sendable {
    let hostID: String
    let systemBUID: String
    /// Made by the host for the phone's key; the phone shows it in TLS.
    let deviceCertificate: PhoneCertificate
    /// What the host may show: its own certificate or the root that signed it.
    let hostCertificates: [PhoneCertificate]
    /// The secret that opens the phone's data for this host while the screen is locked.
    let escrowBag: [UInt8]
    /// The pair record as it came, to keep it.
    let record: PropertyList

    /// Nil when the record lacks something, a certificate is none, or the device's certificate is
    /// about another key.
    init?(record: PropertyList, key: PhoneKey, escrowBag: [UInt8]) {
        guard let hostID = record["HostID"]?.text, let systemBUID = record["SystemBUID"]?.text,
            let device = record["DeviceCertificate"]?.bytes.flatMap(PhoneCertificate.init(pem:)),
            let host = record["HostCertificate"]?.bytes.flatMap(PhoneCertificate.init(pem:)),
            let root = record["RootCertificate"]?.bytes.flatMap(PhoneCertificate.init(pem:)),
            device.certifies(key)
        else { return nil }
        self.hostID = hostID
        self.systemBUID = systemBUID
        deviceCertificate = device
        hostCertificates = [host, root]
        self.escrowBag = escrowBag
        self.record = record
    }

    /// The phone's side of an encrypted connection with this host.
    func session(key: PhoneKey) throws(TLSProblem) -> TLSSession {
        try TLSSession(certificate: deviceCertificate, key: key, hosts: hostCertificates)
    }
}

/// The hosts a phone trusts. It keeps them itself, apart from the hosts' records, so that either
/// side can forget the other.
final class PhoneTrust: Sendable {
    private let path: String
    private let hosts: Mutex<[String: TrustedHost]>

    /// What the file at `path` says; nobody when it is not there.
    init(path: String, key: PhoneKey) {
        self.path = path
        var hosts: [String: TrustedHost] = [:]
        // A file that cannot be read is a phone that forgot everybody.
        let kept = FileManager.default.contents(atPath: path)
            .flatMap { try? PropertyList.decode(Array($0)) }
        for (id, entry) in kept?.entries ?? [:] {
            guard let record = entry["Record"], let bag = entry["EscrowBag"]?.bytes else {
                continue
            }
            hosts[id] = TrustedHost(record: record, key: key, escrowBag: bag)
        }
        self.hosts = Mutex(hosts)
    }

    func host(_ id: String) -> TrustedHost? {
        hosts.withLock { $0[id] }
    }

    func add(_ host: TrustedHost) {
        change { $0[host.hostID] = host }
    }

    /// False when the phone did not know it.
    func remove(_ id: String) -> Bool {
        change { $0.removeValue(forKey: id) != nil }
    }

    /// Reset Location & Privacy.
    func removeAll() {
        change { $0 = [:] }
    }

    private func change<Result: Sendable>(_ body: (inout [String: TrustedHost]) -> Result) -> Result
    {
        hosts.withLock { hosts in
            let result = body(&hosts)
            let list = hosts.mapValues { host -> PropertyList in
                ["Record": host.record, "EscrowBag": .data(host.escrowBag)]
            }
            // Kept for the next start only; the running phone knows its hosts anyway.
            try? Data(PropertyList.dictionary(list).encodeBinary())
                .write(to: URL(fileURLWithPath: path), options: .atomic)
            return result
        }
    }
}
