import Foundation
import Glibc
import Testing

extension EndToEndTests {
    /// The agent of a bay: plug in, and it happens.
    @Suite struct AgentTests {
        @Test func agentBacksUpItsPhoneAndEndsWhenTheBayIsEmpty() throws {
            let lab = try Lab.ready()
            let agent = try lab.start(["--bay", "1-1"], program: Programs.agent)
            #expect(eventually { state(lab) == "done" || !agent.isRunning }, "\(agent.errorsSoFar)")
            try #require(agent.isRunning, "it stays while the phone does")
            let bay = try JSON(text: Child.text(lab.state + "/run/bays/1-1.json"))
            #expect(bay["bay"].text == "1-1")
            #expect(bay["exit_code"].number == 0)
            #expect(bay["phone"].text?.hasPrefix("android-") == true)
            try lab.expectWholeAndAlike()
            try lab.expectRestores()
            try lab.phone.control("unplug")
            let ended = agent.finish()
            #expect(ended.exitCode == 0, "\(ended.story)")
            #expect(state(lab) == "empty")
        }

        @Test func agentWaitsForTheUnlockAndSaysSo() throws {
            let lab = try Lab()
            let phone = try lab.plugIn("Anna", ["--locked"])
            try phone.storage.fill()
            try lab.setUp()
            let agent = try lab.start(["--bay", "1-1"], program: Programs.agent)
            #expect(eventually { state(lab) == "waiting" }, "\(agent.errorsSoFar)")
            try phone.control("unlock")
            #expect(eventually { state(lab) == "done" })
            agent.signal(SIGTERM)
            #expect(agent.finish(within: 10).exitCode == 130)
            #expect(try lab.holdfast("snapshots", "--json").json.elements.count == 1)
        }

        @Test func agentOfAnEmptyBayEnds() throws {
            let lab = try Lab()
            try lab.setUp()
            let ended = try lab.start(["--bay", "1-3"], program: Programs.agent).finish()
            #expect(ended.exitCode == 0, "\(ended.story)")
            #expect(files(in: lab.drive("a") + "/holdfast/repositories").isEmpty)
        }

        @Test func agentRefusesWhatIsNoBay() throws {
            let lab = try Lab()
            for words in [[], ["--bay"], ["--bay", "../x"], ["--bay", "1-1", "--tpyo"]] {
                let refused = try lab.start(words, program: Programs.agent).finish()
                #expect(refused.exitCode == 64, "\(refused.story)")
            }
            #expect(try lab.start(["--help"], program: Programs.agent).finish().exitCode == 0)
        }

        private func state(_ lab: Lab) -> String? {
            // While there is no file there is no state.
            (try? JSON(text: Child.text(lab.state + "/run/bays/1-1.json")))?["state"].text
        }
    }
}
