import BackupCore
import Foundation
import ResticFormat
import ResticRepository
import Testing

/// restic itself says what its rules keep, of random histories that we wrote.
@Suite(.enabled(if: Restic.isInstalled))
struct ResticForgetOracleTests {
    private static let seed: UInt64 = 4_117
    private static let histories = 14

    /// Policies as restic's options and as ours.
    private static let policies: [[(option: String, value: String)]] = [
        [("last", "3")], [("hourly", "5")], [("daily", "6")], [("weekly", "4")],
        [("monthly", "5")], [("yearly", "3")], [("within", "1y2m3d4h")], [("within", "40d")],
        [("daily", "7"), ("weekly", "5"), ("monthly", "6"), ("yearly", "10")],
        [("hourly", "3"), ("within", "7m"), ("tag", "a"), ("tag", "b,c")],
    ]

    private static func policy(
        _ rules: [(option: String, value: String)]
    ) throws -> RetentionPolicy {
        var policy = RetentionPolicy()
        for (option, value) in rules {
            switch option {
            case "last": policy.last = try #require(Int(value))
            case "hourly": policy.hourly = try #require(Int(value))
            case "daily": policy.daily = try #require(Int(value))
            case "weekly": policy.weekly = try #require(Int(value))
            case "monthly": policy.monthly = try #require(Int(value))
            case "yearly": policy.yearly = try #require(Int(value))
            case "within": policy.within = CalendarSpan(value)
            default: policy.tags.append(value.split(separator: ",").map(String.init))
            }
        }
        return policy
    }

    /// One history: times apart by seconds up to months, zones that change, some tags.
    private static func drafts(
        _ history: Int, tree: ContentID, _ random: inout SeededGenerator
    ) -> [SnapshotDraft] {
        let count = Int.random(in: 1...24, using: &random)
        let gap: Int64 =
            [90, 20_000, 86_400, 900_000, 6_000_000].randomElement(using: &random) ?? 90
        var seconds = Int64.random(in: 0...1_700_000_000, using: &random)
        return (0..<count).map { number in
            seconds += Int64.random(in: 1...gap, using: &random)
            let offset = Int.random(in: -48...56, using: &random) * 900
            let tags = ["a", "b", "c"].filter { _ in Int.random(in: 0..<4, using: &random) == 0 }
            return SnapshotDraft(
                time: Timestamp(
                    seconds: seconds, nanoseconds: UInt32.random(in: 0..<1000, using: &random)),
                utcOffsetSeconds: offset, tree: tree, parent: nil, paths: ["/\(history)"],
                hostname: "box", username: "holdfast", tags: tags)
        }
    }

    @Test func resticKeepsTheSameSnapshots() async throws {
        let folder = try TemporaryFolder()
        let restic = Restic(repository: folder.url.appendingPathComponent("repository"))
        let backend = try DirectoryBackend(restic.repository)
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await ResticSnapshotRepository.open(
            backend: backend, masterKey: key,
            options: RepositoryOptions(.writing, clock: ManualClock()))
        let tree = try await repository.save(tree: [])
        var random = SeededGenerator(seed: Self.seed)
        for history in 0..<Self.histories {
            for draft in Self.drafts(history, tree: tree, &random) {
                _ = try await repository.commit(draft)
            }
        }
        await repository.close()
        let all = try await repository.snapshots()
        let oldest = Set(
            Dictionary(grouping: all, by: \.draft.paths).values.compactMap { $0.first?.id.hex })
        let isOurRestic = try restic.run("version").output.hasPrefix("restic 0.14.")
        for rules in Self.policies {
            let theirs = try Self.kept(by: restic, rules)
            let policy = try Self.policy(rules)
            var ours: Set<String> = []
            for (_, group) in Dictionary(grouping: all, by: \.draft.paths) {
                let newestFirst = group.sorted { ($0.time, $0.id) > ($1.time, $1.id) }
                let reasons = policy.reasons(
                    for: newestFirst, now: Timestamp(seconds: Int64(Date().timeIntervalSince1970)))
                for (snapshot, reasons) in zip(newestFirst, reasons) where !reasons.isEmpty {
                    ours.insert(snapshot.id.hex)
                }
            }
            let onlyTheirs = theirs.subtracting(ours)
            // Newer versions keep the oldest one too while a count is left.
            let isAlike = isOurRestic ? onlyTheirs.isEmpty : onlyTheirs.isSubset(of: oldest)
            #expect(ours.isSubset(of: theirs) && isAlike, "seed \(Self.seed), \(rules)")
            #expect(!ours.isEmpty && ours.count < all.count, "\(rules) decides nothing")
        }
    }

    @Test func plansWorkOnARepositoryThatResticMade() async throws {
        let folder = try TemporaryFolder()
        let restic = Restic(repository: folder.url.appendingPathComponent("repository"))
        #expect(try restic.run("init").status == 0)
        let file = folder.url.appendingPathComponent("file")
        try Data("content".utf8).write(to: file)
        for day in 1...5 {
            let made = try restic.run(
                "backup", file.path, "--time", "2026-01-0\(day) 12:00:00", "--tag",
                "phone:android-1", "--tag", "capture:media")
            #expect(made.status == 0, "\(made.output)")
        }
        let backend = try DirectoryBackend(restic.repository)
        let key = try await ResticSnapshotRepository.unlock(backend: backend, password: "secret")
        let repository = try await ResticSnapshotRepository.open(
            backend: backend, masterKey: key,
            options: RepositoryOptions(.reading, clock: ManualClock()))
        var policy = RetentionPolicy()
        policy.daily = 2
        let plan = ForgetPlan(
            ForgetRequest(.rules(policy, phone: nil, capture: nil), now: ManualClock().now()),
            try await repository.snapshots())
        #expect(plan.going.count == 3)
        for snapshot in plan.going { try await backend.remove(FileName(.snapshot, snapshot.id)) }
        // One that is forgotten while others are read is not missed.
        #expect(try await repository.snapshots().map(\.id) == plan.kept.reversed().map(\.id))
        let check = try restic.run("check", "--read-data")
        #expect(check.status == 0, "\(check.output)")
    }

    /// The ids that restic would keep, history by history.
    private static func kept(
        by restic: Restic, _ rules: [(option: String, value: String)]
    ) throws -> Set<String> {
        let process = try restic.start(
            ["forget", "--dry-run", "--json", "--group-by", "paths"]
                + rules.flatMap { ["--keep-" + $0.option, $0.value] })
        let output = process.output.fileHandleForReading.readDataToEndOfFile()
        process.process.waitUntilExit()
        #expect(
            process.process.terminationStatus == 0, "\(String(decoding: output, as: UTF8.self))")
        let text = String(decoding: output, as: UTF8.self)
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("[{") })
        let groups = try JSONDecoder().decode([Group].self, from: Data(line.utf8))
        return Set(groups.flatMap { $0.keep ?? [] }.map(\.id))
    }

    private struct Group: Decodable {
        struct Snapshot: Decodable {
            let id: String
        }
        let keep: [Snapshot]?
    }
}
