/// What a person, or a test, can do to a running phone. The text form goes over the control
/// socket.
package enum PhoneCommand: Sendable, Equatable {
    case lock
    case unlock
    /// Pull the cable.
    case unplug
    /// Plug it in again, under a new address.
    case replug
    /// Pull the cable once this many more bytes have crossed the bulk endpoints.
    case unplugAfter(UInt64)
    /// Stop answering on the MTP endpoints.
    case freeze
    case thaw
    /// Set the battery in percent.
    case battery(UInt8)
    /// Megabytes per second; 0 is unlimited.
    case bandwidth(Double)
    /// Milliseconds per operation, per URB, per object.
    case operationLatency(Double)
    case transferLatency(Double)
    case objectLatency(Double)
    /// Forget the counters.
    case resetCounters

    /// Words such as ["unplug-after", "100000"] or ["set", "bandwidth", "35"]; nil when they
    /// are no command.
    package init?(words: [String]) {
        switch (words.first ?? "", words.dropFirst().first, words.count) {
        case ("lock", nil, _): self = .lock
        case ("unlock", nil, _): self = .unlock
        case ("unplug", nil, _): self = .unplug
        case ("replug", nil, _): self = .replug
        case ("freeze", nil, _): self = .freeze
        case ("thaw", nil, _): self = .thaw
        case ("reset-counters", nil, _): self = .resetCounters
        case ("unplug-after", let count?, 2):
            guard let bytes = UInt64(count) else { return nil }
            self = .unplugAfter(bytes)
        case ("set", let name?, 3):
            guard let value = Double(words[2]), value.isFinite, (0...1e6).contains(value) else {
                return nil
            }
            self.init(setting: name, to: value)
        default: return nil
        }
    }

    private init?(setting name: String, to value: Double) {
        switch name {
        case "battery" where value <= 100: self = .battery(UInt8(value))
        case "bandwidth": self = .bandwidth(value)
        case "latency": self = .operationLatency(value)
        case "urb-latency": self = .transferLatency(value)
        case "object-latency": self = .objectLatency(value)
        default: return nil
        }
    }
}

/// The state of a phone, as JSON on the control socket.
package struct PhoneStatus: Codable, Sendable, Equatable {
    /// Whether the cable is in.
    package var plugged: Bool
    /// Whether storages show.
    package var unlocked: Bool
    /// Whether it stopped answering.
    package var frozen: Bool
    /// USB address of this plug.
    package var address: Int
    /// Bytes over the bulk endpoints since the start, both ways, heads included.
    package var bytesMoved: UInt64
    /// What hosts did.
    package var counters: PhoneCounters
}
