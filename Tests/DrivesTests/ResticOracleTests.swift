import BackupCore
import Drives
import Glibc
import ResticFormat
import Testing

/// restic itself judges what catch-up and heal make of a repository it wrote.
@Suite struct ResticOracleTests: ~Copyable {
    let copies = CopySet()
    deinit { copies.folder.remove() }

    private func restic(_ name: String, _ command: String) -> Int32 {
        Shell.run(
            "sh", "-c",
            "RESTIC_PASSWORD=test restic -q --no-cache -r '\(copies.repository(name))' \(command)"
                + " >/dev/null 2>&1")
    }

    @Test func caughtUpAndHealedRepositoriesPassItsCheck() async throws {
        guard Shell.run("sh", "-c", "command -v restic >/dev/null") == 0 else {
            print("not tried: restic is not installed here")
            return
        }
        try await copies.enrol("a", "b")
        let content = copies.folder.folder("content")
        var numbers = SeededNumbers(seed: 11)
        for number in 0..<5 { PlainFile.write("\(content)/\(number)", numbers.bytes(300_000)) }
        #expect(restic("a", "init") == 0)
        #expect(restic("a", "backup '\(content)'") == 0)
        let config = try #require(PlainFile.read(copies.repository("a") + "/config"))
        let judge: ConfigJudge = { $0 == config }
        let both = [try await copies.backend("a"), try await copies.backend("b")]
        let report = await CatchUp(both, validConfig: judge).run()
        #expect(report.behind.isEmpty && report.skipped.isEmpty)
        #expect(restic("b", "check --read-data") == 0)

        // One pack on each, by turns, and b's index.
        let packs = try await both[0].list(.data).map(\.name).sorted()
        let index = try await both[0].list(.index).map(\.name)
        for (position, file) in (packs + index).enumerated() {
            let path = copies.repository(position % 2 == 0 ? "a" : "b") + "/" + file.relativePath
            Rot.flip.apply(to: path, other: path, &numbers)
        }
        #expect(restic("a", "check --read-data") != 0)
        let heal = await Heal(both, validConfig: judge).run()
        #expect(heal.isWhole && heal.repaired.count == packs.count + index.count)
        #expect(restic("a", "check --read-data") == 0)
        #expect(restic("b", "check --read-data") == 0)
        let restored = copies.folder.path + "/restored"
        #expect(restic("b", "restore latest --target '\(restored)'") == 0)
        #expect(PlainFile.tree(restored + content) == PlainFile.tree(content))
    }
}
