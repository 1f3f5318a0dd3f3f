import BackupCore
import ResticFormat

/// A snapshot of the test phone at `time`, with an id that the number decides.
func sample(
    _ number: Int, at time: Timestamp, offset: Int = 0, partial: Bool = false,
    phone: String = "android-0123456789abcdef", tags: [String] = []
) -> Snapshot {
    var draft = SnapshotDraft.of(
        phone: PhoneID(trusted: phone), capture: .media, run: RunID(trusted: "run-\(number)"),
        partial: partial, tree: ContentID.sha256(of: []), parent: nil, time: time,
        utcOffsetSeconds: offset, hostname: "box")
    draft.tags += tags
    return Snapshot(id: ContentID.sha256(of: Array("\(phone) \(number)".utf8)), draft: draft)
}

/// Daily snapshots, the oldest first, the newest at `newest`.
func dailySamples(_ count: Int, newest: Int64 = 1_790_000_000) -> [Snapshot] {
    (0..<count).map { number in
        sample(number, at: Timestamp(seconds: newest - Int64(count - 1 - number) * 86_400))
    }
}

/// The moment that an RFC 3339 text tells.
func moment(_ text: String) -> Timestamp { RFC3339.time(text) ?? .zero }
