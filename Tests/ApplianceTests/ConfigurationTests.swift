import Appliance
import BackupCore
import Testing

@Suite struct ConfigurationTests {
    private func surroundings(_ variables: [String: String] = [:]) -> Surroundings {
        Surroundings(
            variables: variables, isRoot: false, workingFolder: "/srv/box", hostname: "box")
    }

    private func read(
        _ text: String, _ variables: [String: String] = [:]
    ) throws -> Configuration {
        try Configuration.read(text, file: "/etc/h.yaml", in: surroundings(variables))
    }

    private func refusal(
        _ text: String, _ variables: [String: String] = [:]
    ) -> ApplianceError? {
        do {
            _ = try read(text, variables)
            return nil
        } catch {
            return error as? ApplianceError
        }
    }

    @Test func theWholeFileIsRead() throws {
        let configuration = try read(
            """
            state: /s
            run: /r
            hostname: kiosk
            wait: 7
            shrink: {percent: 50, minimum_files: 3}
            retention: {last: 3, daily: 14, within: 1y6m}
            reserve: 2 GiB
            log: debug
            drives:
              - {id: a, name: Left, path: /mnt/a}
              - id: b
                path: ../mnt/b
            """)
        #expect(configuration.state == "/s" && configuration.run == "/r")
        #expect(configuration.hostname == "kiosk" && configuration.waitSeconds == 7)
        #expect(configuration.shrink.percent == 50)
        #expect(configuration.shrink.minimumFiles == 3)
        #expect(configuration.retention.last == 3 && configuration.retention.daily == 14)
        #expect(configuration.retention.within == CalendarSpan("1y6m"))
        #expect(configuration.reserveBytes == 2 << 30 && configuration.logLevel == .debug)
        #expect(configuration.drives.map(\.id.rawValue) == ["a", "b"])
        #expect(configuration.drives.map(\.name) == ["Left", "b"])
        #expect(configuration.drives.map(\.path) == ["/mnt/a", "/mnt/b"])
    }

    @Test(arguments: [
        ("state: /s\nwiat: 3", 2, "unknown key 'wiat'"),
        ("wait: soon", 1, "wait must be a whole number"),
        ("wait: \"12\"", 1, "wait must be a whole number"),
        ("wait: -1", 1, "wait must be a whole number"),
        ("wait: 1.5", 1, "wait must be a whole number"),
        ("hostname: 12", 1, "hostname must be a text"),
        ("hostname: [a]", 1, "hostname must be a text"),
        ("hostname: \"a\\eb\"", 1, "plain text"),
        ("log: loud", 1, "log must be one of"),
        ("shrink: 3", 1, "shrink must have keys and values"),
        ("shrink:\n  percent: 0.2", 2, "shrink.percent must be a whole number from 0 to 100"),
        ("shrink:\n  files: 20", 2, "unknown key 'files'"),
        ("retention:\n  hourly: 3", 2, "unknown key 'hourly'"),
        ("retention: {daily: -1}", 1, "retention.daily must be a whole number"),
        ("retention: {within: 3 weeks}", 1, "retention.within must be a length of time"),
        ("retention: {within: 30}", 1, "retention.within must be a text"),
        ("drives: /a", 1, "drives must be a list"),
        ("drives:\n  - id: a\n    path: /a\n    colour: red", 4, "unknown key 'colour'"),
        ("drives:\n  - path: /a", 2, "no id"),
        ("drives:\n  - id: a", 2, "no path"),
        ("drives:\n  - id: a/b\n    path: /a", 2, "letters, digits"),
        ("drives:\n  - {id: a, path: /a}\n  - {id: a, path: /b}", 3, "twice"),
        ("reserve: 3 MB", 1, "reserve must be a number of bytes"),
        ("reserve: 99999999999999999999 GiB", 1, "reserve must be a number of bytes"),
        ("state: /s\nstate: /t", 1, "given twice: state"),
        ("state: [", 2, "not YAML"),
        ("- a", 1, "the file must have keys and values"),
        ("state: yes", 1, "state must be a path"),
    ])
    func whatIsWrongIsRefusedWithFileLineAndReason(text: String, line: Int, reason: String) {
        let error = refusal(text)
        #expect(error?.exitCode == .configuration)
        #expect(error?.whatHappened.hasPrefix("/etc/h.yaml:\(line): ") == true)
        #expect(error?.whatHappened.contains(reason) == true, "\(error?.whatHappened ?? "none")")
    }

    @Test func everyKeyCanBeOverriddenByAVariable() throws {
        let configuration = try read(
            "wait: 3",
            [
                "HOLDFAST_STATE": "/v", "HOLDFAST_RUN": "/w", "HOLDFAST_HOSTNAME": "h",
                "HOLDFAST_DRIVES": "[{id: x, path: /x}]", "HOLDFAST_WAIT": "9",
                "HOLDFAST_SHRINK_PERCENT": "10", "HOLDFAST_SHRINK_MINIMUM_FILES": "5",
                "HOLDFAST_RESERVE": "1 KiB",
                "HOLDFAST_LOG": "error", "HOLDFAST_RETENTION_WEEKLY": "8",
            ])
        #expect(configuration.retention.weekly == 8)
        #expect(configuration.state == "/v" && configuration.run == "/w")
        #expect(configuration.hostname == "h" && configuration.waitSeconds == 9)
        #expect(configuration.drives.map(\.path) == ["/x"])
        #expect(configuration.shrink.percent == 10)
        #expect(configuration.shrink.minimumFiles == 5)
        #expect(configuration.reserveBytes == 1024 && configuration.logLevel == .error)
    }

    @Test func aWrongVariableIsRefusedByItsName() {
        let error = refusal("wait: 3", ["HOLDFAST_WAIT": "long"])
        #expect(error?.whatHappened.hasPrefix("HOLDFAST_WAIT: wait must be") == true)
    }

    @Test func aVariableWithATypingErrorIsNamed() {
        let names = Configuration.unknownVariables(
            in: surroundings(["HOLDFAST_WIAT": "1", "HOLDFAST_WAIT": "1", "HOME": "/"]))
        #expect(names == ["HOLDFAST_WIAT"])
    }

    @Test func theFileThatSetupWritesReadsBackAsItself() throws {
        var configuration = Configuration(
            file: "/etc/h.yaml", state: "/a b/\"s\"", run: "/run é", hostname: "no")
        configuration.drives = [
            .init(id: try #require(DriveID(rawValue: "d-1")), name: "x: #y", path: "/mnt/1")
        ]
        configuration.waitSeconds = 0
        configuration.reserveBytes = 17
        configuration.retention.yearly = 9
        configuration.retention.within = CalendarSpan("36h")
        #expect(try read(configuration.fileText) == configuration)
    }

    @Test(arguments: [
        "state: /s\n# mine\ndrives: []\n# end\nwait: 3\n",
        "state: /s\ndrives:\n  # the left one\n  - id: a\n    path: /a\n\n# tail\nwait: 3\n",
        "state: /s\ndrives:\n- {id: a, path: /a} # here\n", "wait: 3\nstate: /s\n",
    ])
    func aDriveIsAddedWithoutTouchingTheRest(text: String) throws {
        let drive = Configuration.DriveEntry(
            id: try #require(DriveID(rawValue: "z")), name: "z", path: "/z")
        let result = Configuration.adding(
            [drive], to: text, file: "/etc/h.yaml", in: surroundings())
        guard let result else {
            // A list indented otherwise cannot be extended line by line; it must not be guessed.
            #expect(text.contains("\n- {id"))
            return
        }
        #expect(try read(result).drives.last == drive)
        let kept = text.split(separator: "\n").filter { $0 != "drives: []" }
        #expect(kept.allSatisfy { result.contains($0) })
    }

    @Test func withoutRootTheFoldersAreTheUsers() throws {
        let user = surroundings(["HOME": "/home/u", "XDG_RUNTIME_DIR": "/run/user/1"])
        #expect(
            Configuration.file(named: nil, in: user) == "/home/u/.config/holdfast/holdfast.yaml")
        let configuration = try Configuration.read("", file: "/f", in: user)
        #expect(configuration.state == "/home/u/.local/state/holdfast")
        #expect(configuration.run == "/run/user/1/holdfast")
        let own = try Configuration.read("state: /s", file: "/f", in: user)
        #expect(own.run == "/s/run")
    }

    @Test func theFileIsNamedByOptionThenVariableThenDefault() {
        let some = surroundings(["HOLDFAST_CONFIG": "v.yaml"])
        #expect(Configuration.file(named: "o.yaml", in: some) == "/srv/box/o.yaml")
        #expect(Configuration.file(named: nil, in: some) == "/srv/box/v.yaml")
        let root = Surroundings(variables: [:], isRoot: true, workingFolder: "/", hostname: "b")
        #expect(Configuration.file(named: nil, in: root) == "/etc/holdfast/holdfast.yaml")
    }
}
